"""Addresses of a PostgreSQL with failover, tried in turn."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from faregate.core.clock import Deadline
from faregate.core.db.connection_errors import no_server
from faregate.core.settings.addresses import one_url_per_server

__all__ = ["Servers"]

T = TypeVar("T")

_CONNECT_SECONDS = 10
_CONNECT_SECONDS_OF_SEVERAL = 4
"""A server that does not answer must not use up the time of the next one."""

_CONNECT_SECONDS_OF_SILENT = 1
_SILENT_SECONDS = 30
"""For how long a server that did not answer in time gets less time: until a failover, callers wait for it in each attempt."""

_NEXT = (
    OSError,  # TimeoutError as well
    asyncpg.CannotConnectNowError,
    asyncpg.InvalidCatalogNameError,  # a standby may not have it yet
    asyncpg.PostgresConnectionError,
    asyncpg.TargetServerAttributeNotMatched,
)
"""Errors after which another server may do better; a refused login is the same everywhere."""


class Servers:
    """The servers that one URL names; that which answered last is tried first, those that failed last."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._urls = list(one_url_per_server(url))
        self._silent: dict[str, Deadline] = {}

    async def connect(self, connect: Callable[[str, float], Awaitable[T]]) -> T:
        """Return what `connect` returns for the first server that it reaches within a number of seconds.

        Raises:
            DatabaseUnavailableError: none of several servers can be used, or the only one is not what the URL asks for; the text
                says why for each.
        """
        failures: dict[str, BaseException] = {}
        for url in list(self._urls):
            try:
                connection = await connect(url, self._seconds_for(url))
            except _NEXT as error:
                if self._is_final(error):
                    raise
                failures[url] = error
                self._note(url, error)
            else:
                self._move(url, 0)
                return connection
        missing = [error for error in failures.values() if isinstance(error, asyncpg.InvalidCatalogNameError)]
        raise missing[0] if missing else no_server(failures, self._url)

    def _is_final(self, error: BaseException) -> bool:
        return len(self._urls) == 1 and not isinstance(error, asyncpg.TargetServerAttributeNotMatched)

    def _seconds_for(self, url: str) -> float:
        if len(self._urls) == 1:
            return _CONNECT_SECONDS
        is_silent = url in self._silent and not self._silent[url].passed
        return _CONNECT_SECONDS_OF_SILENT if is_silent else _CONNECT_SECONDS_OF_SEVERAL

    def _note(self, url: str, error: BaseException) -> None:
        self._move(url, len(self._urls))
        if isinstance(error, TimeoutError):
            self._silent[url] = Deadline(_SILENT_SECONDS)

    def _move(self, url: str, place: int) -> None:
        self._urls.remove(url)
        self._urls.insert(place, url)
