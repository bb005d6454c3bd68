"""Addresses of a PostgreSQL with failover, tried in turn."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from faregate.core.db.connection_errors import no_server
from faregate.core.settings.addresses import one_url_per_server

__all__ = ["Servers"]

T = TypeVar("T")

_CONNECT_SECONDS = 10
_CONNECT_SECONDS_OF_SEVERAL = 4
"""A server that does not answer must not use up the time of the next one."""

_NEXT = (
    OSError,  # TimeoutError as well
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    asyncpg.TargetServerAttributeNotMatched,
)
"""Errors after which another server may do better; a refused login is the same everywhere."""


class Servers:
    """The servers that one URL names; that which answered last is tried first, those that failed last."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._urls = list(one_url_per_server(url))

    async def connect(self, connect: Callable[[str, float], Awaitable[T]]) -> T:
        """Return what `connect` returns for the first server that it reaches within a number of seconds.

        Raises:
            DatabaseUnavailableError: none of several servers can be used, or the only one is not what the URL asks for; the text
                says why for each.
        """
        several = len(self._urls) > 1
        failures: dict[str, BaseException] = {}
        for url in list(self._urls):
            try:
                connection = await connect(url, _CONNECT_SECONDS_OF_SEVERAL if several else _CONNECT_SECONDS)
            except _NEXT as error:
                if not several and not isinstance(error, asyncpg.TargetServerAttributeNotMatched):
                    raise
                failures[url] = error
                self._move(url, len(self._urls))
            else:
                self._move(url, 0)
                return connection
        raise no_server(failures, self._url)

    def _move(self, url: str, place: int) -> None:
        self._urls.remove(url)
        self._urls.insert(place, url)
