"""Which deployment a command works on: its settings, its database and how that is named."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from faregate.core.errors import ConfigurationError

if TYPE_CHECKING:
    from faregate.core.db.embedded import EmbeddedServer
    from faregate.core.settings import Settings

__all__ = ["database_name", "existing_deployment", "require_database"]


def existing_deployment() -> Settings:
    """Return the settings of the environment, for commands that work on a database that is there.

    Raises:
        ConfigurationError: as `require_database`.
    """
    from faregate.core.settings import load_settings

    settings = load_settings()
    require_database(settings)
    return settings


def require_database(settings: Settings) -> None:
    """Check that `settings` name a database that exists, as far as can be told without connecting.

    Raises:
        ConfigurationError: no database is named, and the data directory holds none. Nothing is made: whoever forgot to
            name a database is not to find a second, empty one.
    """
    if settings.database_url is None and not _server(settings).exists:
        raise ConfigurationError(
            f"there is no database: FAREGATE_DATABASE_URL is not set, and {_server(settings).data_dir} holds no embedded "
            "one. Name the data directory that `faregate up` printed, by --data-dir or FAREGATE_DATA_DIR; or make a new "
            "database by `faregate up` or `faregate migrate`"
        )


def database_name(settings: Settings) -> str:
    """Return the database that `settings` name, for people: never with a password."""
    if settings.database_url is None:
        return f"embedded PostgreSQL in {_server(settings).data_dir}"
    parts = urlsplit(settings.database_url)
    user, _, host = parts.netloc.rpartition("@")
    login = f"{user.partition(':')[0]}@" if user else ""
    return f"{urlunsplit(('postgresql', login + host, parts.path, '', ''))}, schema {settings.db_schema}"


def _server(settings: Settings) -> EmbeddedServer:
    from faregate.core.db.embedded import EmbeddedServer, default_data_dir

    return EmbeddedServer(settings.data_dir or default_data_dir())
