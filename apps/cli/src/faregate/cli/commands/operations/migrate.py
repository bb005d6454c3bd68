"""`faregate migrate`: migrations of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faregate.cli.shared.deployment import database_name, of_tenant
from faregate.cli.shared.options import Output
from faregate.cli.shared.output import print_done
from faregate.core.runtime import event_loop

if TYPE_CHECKING:
    from faregate.core.db.database import Database
    from faregate.core.settings import Settings

__all__ = ["migrate", "migrate_tenants"]


def migrate(*, output: Output = "table") -> None:
    """Migrate the database, and the tables of all tenants, to the version of this code; brings the views of `faregate bi` up to
    date. Safe to repeat.
    """
    from faregate.core.container import make_database
    from faregate.core.db.migrate import upgrade
    from faregate.core.settings import load_settings

    settings = of_tenant(load_settings())

    async def bring() -> tuple[str | None, str, dict[str, str | None]]:
        database = make_database(settings)
        try:
            revisions = await upgrade(database)
            await _views(database)
            return *revisions, {} if settings.tenant else await migrate_tenants(settings, database)
        finally:
            await database.close()

    before, after, tenants = event_loop.run(bring())
    done = _done(before, after)
    lines = [
        f"{done}: {database_name(settings)}",
        *(f"{_done(was, after)}: tenant {key}" for key, was in tenants.items()),
    ]
    facts = {"before": before, "after": after, "database": database_name(settings), "tenants": tenants}
    print_done("\n".join(lines), facts, output)


async def migrate_tenants(settings: Settings, database: Database) -> dict[str, str | None]:
    """Migrate the tables of all tenants; return the revision of each before."""
    from faregate.core.clock import SystemClock
    from faregate.core.container import make_ring
    from faregate.core.tenants.registry import TenantRegistry
    from faregate.core.tenants.service import TenantService

    service = TenantService(database, TenantRegistry(database, make_ring(settings)), settings, SystemClock())
    found: dict[str, str | None] = {}
    for tenant in await service.list():
        found[tenant.key], _ = await service.migrate(tenant)
        await _views(service.database_of(tenant))
    return found


async def _views(database: Database) -> None:
    from faregate.analytics.bi.service import BiService

    await database.open()
    await BiService(database).refresh()


def _done(before: str | None, after: str) -> str:
    return f"at {after} already" if before == after else f"migrated from {before or 'nothing'} to {after}"
