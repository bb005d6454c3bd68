"""Settings and database of the deployment that a command works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faregate.core.errors import ConfigurationError

if TYPE_CHECKING:
    from faregate.core.db.embedded import EmbeddedServer
    from faregate.core.settings import Settings

__all__ = ["database_name", "existing_deployment", "home_deployment", "of_tenant", "require_database"]


def existing_deployment() -> Settings:
    """Return the settings of the environment, for commands that need an existing database; with FAREGATE_TENANT those of the
    tenant.

    Not within an event loop: a tenant is looked up in the database.

    Raises:
        ConfigurationError: as `require_database`.
        UnknownTenantError: there is no such tenant.
    """
    return of_tenant(home_deployment())


def home_deployment() -> Settings:
    """Return the settings of the environment as `existing_deployment` does, whatever FAREGATE_TENANT says."""
    from faregate.core.settings import load_settings

    settings = load_settings()
    require_database(settings)
    return settings


def of_tenant(settings: Settings) -> Settings:
    """Return the settings of the tenant that `settings` name; the same settings if they name none."""
    from faregate.core.container import CoreContainer
    from faregate.core.runtime import event_loop

    key = settings.tenant
    if key is None:
        return settings

    async def found() -> Settings:
        core = CoreContainer(settings=settings)
        await core.database().open()
        try:
            service = core.tenant_service()
            return service.settings_of(await service.get(key))
        finally:
            await core.database().close()

    return event_loop.run(found())


def require_database(settings: Settings) -> None:
    """Check that `settings` name a database that exists, as far as can be checked without connecting.

    Raises:
        ConfigurationError: no database is named, and the data directory holds none. None is created, so that an operator who
            forgot to name the database does not get a second, empty one.
    """
    if settings.database_url is not None:
        return
    server = _server(settings)
    server.check_directory()
    if not server.exists:
        raise ConfigurationError(
            f"there is no database: FAREGATE_DATABASE_URL is not set, and {server.data_dir} holds no embedded "
            "one; give the data directory that `faregate up` printed with --data-dir or FAREGATE_DATA_DIR, or create a new "
            "database with `faregate up` or `faregate migrate`"
        )


def database_name(settings: Settings) -> str:
    """Return a printable name of the database that `settings` name, without its password."""
    from faregate.core.db.connection_errors import printable_url

    if settings.database_url is None:
        return f"embedded PostgreSQL in {_server(settings).data_dir}"
    return f"{printable_url(settings.database_url)}, schema {settings.db_schema}"


def _server(settings: Settings) -> EmbeddedServer:
    from faregate.core.db.embedded import EmbeddedServer, default_data_dir

    return EmbeddedServer(settings.data_dir or default_data_dir())
