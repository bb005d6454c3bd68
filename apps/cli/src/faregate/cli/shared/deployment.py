"""Settings and database of the deployment that a command works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faregate.core.errors import ConfigurationError

if TYPE_CHECKING:
    from faregate.core.db.embedded import EmbeddedServer
    from faregate.core.settings import Settings

__all__ = ["database_name", "existing_deployment", "require_database"]


def existing_deployment() -> Settings:
    """Return the settings of the environment, for commands that need an existing database.

    Raises:
        ConfigurationError: as `require_database`.
    """
    from faregate.core.settings import load_settings

    settings = load_settings()
    require_database(settings)
    return settings


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
