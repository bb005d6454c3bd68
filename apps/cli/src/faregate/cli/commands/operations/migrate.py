"""`faregate migrate`: migrations of the database."""

from faregate.cli.shared.deployment import database_name
from faregate.cli.shared.output import console
from faregate.core.runtime import event_loop

__all__ = ["migrate"]


def migrate() -> None:
    """Migrate the database to the version of this code. Safe to repeat."""
    from faregate.core.container import make_database
    from faregate.core.db.migrate import upgrade
    from faregate.core.settings import load_settings

    settings = load_settings()

    async def bring() -> tuple[str | None, str]:
        database = make_database(settings)
        try:
            return await upgrade(database)
        finally:
            await database.close()

    before, after = event_loop.run(bring())
    done = f"at {after} already" if before == after else f"migrated from {before or 'nothing'} to {after}"
    console.print(f"{done}: {database_name(settings)}", highlight=False, markup=False, soft_wrap=True)
