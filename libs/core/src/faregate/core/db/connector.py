"""Connections of a database: pooled and direct, each checked and watched."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakSet

import asyncpg

from faregate.core.db.connection_errors import OLDEST_MAJOR, connection_error, too_old
from faregate.core.db.guarded_commits import GuardedConnection
from faregate.core.db.pooler import check_settings, connect_through_pooler, is_pooler_refusal, pooler_refusal
from faregate.core.db.server_watch import ServerWatch
from faregate.core.db.servers import Servers
from faregate.core.db.timestamp_codec import use_timestamp_codec

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

__all__ = ["Connector"]


class Connector:
    """Opens connections that have `session_settings`, to the server of a list that answers.

    With `has_pooler`, what `pooled` connects to is a pooler in transaction mode, such as pgbouncer. Both methods raise
    `EngineUnavailableError` or `ConfigurationError`, with the server's address, the reason and the fix.
    """

    def __init__(self, session_settings: Mapping[str, str], *, has_pooler: bool) -> None:
        self.watch = ServerWatch(_answering)
        self._session_settings = dict(session_settings)
        self._has_pooler = has_pooler
        self._direct_variable = "FAREGATE_DIRECT_DATABASE_URL" if has_pooler else "FAREGATE_DATABASE_URL"
        self._settings_checked = False
        self._pooled: WeakSet[_Connection] = WeakSet()
        self._servers: dict[str, Servers] = {}

    async def pooled(self, url: str) -> _Connection:
        """Return a connection for the pool, which closes it; `terminate_pooled` ends what is left."""
        try:
            connection = await self._established(url, through_pooler=self._has_pooler)
            await use_timestamp_codec(connection)
            if not self._has_pooler:
                await self._check_once(connection)
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise self._reported(error, url) from error
        self._pooled.add(connection)
        return connection

    async def direct(self, url: str) -> _Connection:
        """Return a connection to PostgreSQL itself; the caller closes it."""
        try:
            connection = await self._established(url, through_pooler=False)
            await self._check_once(connection)
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise self._reported(error, url) from error
        return connection

    def terminate_pooled(self) -> None:
        """End the pool's connections at once; PostgreSQL rolls their transactions back."""
        for connection in list(self._pooled):
            connection.terminate()

    def _reported(self, error: Exception, url: str) -> Exception:
        refused = is_pooler_refusal(error)
        return pooler_refusal(error, self._direct_variable) if refused else connection_error(error, url)

    async def _established(self, url: str, *, through_pooler: bool) -> _Connection:
        servers = self._servers.setdefault(url, Servers(url))
        connection = await servers.connect(self._through_pooler if through_pooler else self._directly)
        major = connection.get_server_version().major
        if major < OLDEST_MAJOR:
            connection.terminate()
            raise too_old(major, url)
        return connection

    async def _through_pooler(self, url: str, timeout_seconds: float) -> GuardedConnection:
        return await connect_through_pooler(url, self._session_settings, timeout_seconds=timeout_seconds)

    async def _directly(self, url: str, timeout_seconds: float) -> GuardedConnection:
        connection = await asyncpg.connect(
            url, server_settings=self._session_settings, timeout=timeout_seconds, connection_class=GuardedConnection
        )
        self.watch.opened(connection, url)
        return connection

    async def _check_once(self, connection: _Connection) -> None:
        """Check on the first connection that no pooler has dropped its settings."""
        if self._settings_checked:
            return
        try:
            await check_settings(connection, self._session_settings, self._direct_variable)
        except BaseException:
            connection.terminate()
            raise
        self._settings_checked = True


async def _answering(url: str, timeout_seconds: float) -> _Connection:
    return await asyncpg.connect(url, timeout=timeout_seconds)
