"""`faregate migrate`: bring the database to this version."""

from faregate.cli.deployment import database_name
from faregate.cli.output import console
from faregate.core import aio
from faregate.core.container import make_database
from faregate.core.migrate import upgrade
from faregate.core.settings import load_settings

__all__ = ["migrate"]


def migrate() -> None:
    """Bring the database to the version of this code. Safe to repeat."""
    settings = load_settings()

    async def bring() -> tuple[str | None, str]:
        database = make_database(settings)
        try:
            return await upgrade(database)
        finally:
            await database.close()

    before, after = aio.run(bring())
    done = f"at {after} already" if before == after else f"migrated from {before or 'nothing'} to {after}"
    console.print(f"{done}: {database_name(settings)}", highlight=False, markup=False, soft_wrap=True)
