"""`faregate migrate`: migrations of the database."""

from faregate.cli.shared.deployment import database_name
from faregate.cli.shared.options import Output
from faregate.cli.shared.output import print_done
from faregate.core.runtime import event_loop

__all__ = ["migrate"]


def migrate(*, output: Output = "table") -> None:
    """Migrate the database to the version of this code; brings the views of `faregate bi` up to date. Safe to repeat."""
    from faregate.analytics.bi.service import BiService
    from faregate.core.container import make_database
    from faregate.core.db.migrate import upgrade
    from faregate.core.settings import load_settings

    settings = load_settings()

    async def bring() -> tuple[str | None, str]:
        database = make_database(settings)
        try:
            revisions = await upgrade(database)
            await BiService(database).refresh()
            return revisions
        finally:
            await database.close()

    before, after = event_loop.run(bring())
    done = f"at {after} already" if before == after else f"migrated from {before or 'nothing'} to {after}"
    facts = {"before": before, "after": after, "database": database_name(settings)}
    print_done(f"{done}: {database_name(settings)}", facts, output)
