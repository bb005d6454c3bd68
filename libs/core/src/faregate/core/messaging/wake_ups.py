"""Notifications of all tenants of a process.

One connection listens, one notifies. A consumer that misses a notification polls, so that neither is needed for correctness.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import asyncpg

from faregate.core.db.database import Database
from faregate.core.errors import EngineUnavailableError

__all__ = ["LOST", "WakeUps"]

Hear = Callable[[Any, int, str, object], None]

_NOTIFY_SECONDS = 5

LOST = (EngineUnavailableError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""Errors of a connection that only carries notifications; polling continues without it."""


class WakeUps:
    """Notifies and listens on channels, each of which belongs to one schema."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._notifying: asyncpg.Connection[asyncpg.Record] | None = None
        self._listening: asyncpg.Connection[asyncpg.Record] | None = None
        self._heard: set[str] = set()
        self._lock = asyncio.Lock()

    async def notify(self, channel: str, payload: str) -> None:
        """Notify the listeners of a channel; raises one of `LOST`."""
        async with self._lock:
            if self._notifying is None or self._notifying.is_closed():
                self._notifying = await self._database.connect()
            try:
                await self._notifying.execute("select pg_notify($1, $2)", channel, payload, timeout=_NOTIFY_SECONDS)
            except LOST:
                self._notifying.terminate()
                raise

    async def listen(self, channels: Iterable[str], hear: Hear) -> None:
        """Call `hear` for each notification of these channels; raises one of `LOST`.

        Call it again from time to time: it adds new channels, and opens a lost connection again.
        """
        async with self._lock:
            if self._listening is None or self._listening.is_closed():
                self._listening, self._heard = await self._database.connect(), set()
            for channel in set(channels) - self._heard:
                await self._listening.add_listener(channel, hear)
                self._heard.add(channel)

    async def close(self) -> None:
        """Close both connections. Safe to repeat."""
        for connection in (self._notifying, self._listening):
            if connection is not None:
                connection.terminate()
        self._notifying = self._listening = None
