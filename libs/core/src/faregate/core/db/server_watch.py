"""Watch over servers that stop answering without closing their connections.

A server that is frozen, or whose machine is unplugged, closes nothing: who waits for it would wait for ever, and a time limit
for each statement would end long ones of a healthy server as well. So while a transaction lasts, its server is asked now and then
on a new connection whether it still answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import asyncpg

from faregate.core.logging import get_logger

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

__all__ = ["ServerWatch"]

log = get_logger(__name__)

_PATIENCE_SECONDS = 3.0
"""A transaction that lasts longer is reason to ask."""

_ANSWER_SECONDS = 4.0

_ATTEMPTS = 2
"""One answer may be missed because this process, not the server, was stopped for a while."""


class ServerWatch:
    """Ends the connections to servers that do not answer.

    `connect` opens a connection to a URL within a number of seconds.
    """

    def __init__(self, connect: Callable[[str, float], Awaitable[_Connection]]) -> None:
        self._connect = connect
        self._urls: WeakKeyDictionary[_Connection, str] = WeakKeyDictionary()
        self._waiting: dict[object, float] = {}
        self._next: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None

    def opened(self, connection: _Connection, url: str) -> None:
        """Watch over a connection to the server at `url`."""
        self._urls[connection] = url

    @contextmanager
    def during_transaction(self) -> Generator[None]:
        """Ask the servers from time to time while the block lasts."""
        loop, token = asyncio.get_running_loop(), object()
        self._waiting[token] = loop.time()
        if self._next is None:
            self._next = loop.call_later(_PATIENCE_SECONDS, self._look)
        try:
            yield
        finally:
            del self._waiting[token]

    async def close(self) -> None:
        """Stop asking."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._next = loop.call_later(_PATIENCE_SECONDS, self._look) if self._waiting else None
        oldest = next(iter(self._waiting.values()), loop.time())
        idle = self._asking is None or self._asking.done()
        if idle and loop.time() - oldest >= _PATIENCE_SECONDS:
            self._asking = loop.create_task(self._ask_all())

    async def _ask_all(self) -> None:
        urls = {url for connection, url in list(self._urls.items()) if not connection.is_closed()}
        await asyncio.gather(*(self._ask(url) for url in urls))

    async def _ask(self, url: str) -> None:
        """Ask one server, and end the connections that it had before if it does not answer."""
        asked = [connection for connection, its in list(self._urls.items()) if its == url]
        for _ in range(_ATTEMPTS):
            if await self._answers(url):
                return
        ended = [connection for connection in asked if not connection.is_closed()]
        log.warning("database_does_not_answer", connections_ended=len(ended), seconds=_ATTEMPTS * _ANSWER_SECONDS)
        for connection in ended:
            connection.terminate()

    async def _answers(self, url: str) -> bool:
        try:
            connection = await self._connect(url, _ANSWER_SECONDS)
        except (ConnectionRefusedError, ConnectionResetError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return True  # its machine lives, and closes what it no longer serves
        except OSError:
            return False
        connection.terminate()
        return True
