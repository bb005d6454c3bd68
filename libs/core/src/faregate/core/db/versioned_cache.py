"""In-memory cache of a whole table, checked by version number.

A change to the data raises the version number in the same transaction. Readers check the number at most twice a second, so that
a change reaches every process within a second, without a message that could be lost.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import Deadline
from faregate.core.db.ambient_transaction import current_transaction, outside_transaction
from faregate.core.db.database import Database
from faregate.core.db.sql import VERSION_RAISE, VERSION_READ

__all__ = ["VersionedCache", "raise_version"]

T = TypeVar("T")

_CHECK_SECONDS = 0.5


async def raise_version(database: Database, session: AsyncSession, name: str) -> None:
    """Invalidate the value cached under `name` in all processes, once `session` commits."""
    await database.rows(session, VERSION_RAISE, name=name)


class VersionedCache(Generic[T]):
    """One cached value and its version; `load` reads it completely.

    `get` costs nothing if the version was checked less than half a second ago.
    """

    def __init__(self, database: Database, name: str, load: Callable[[AsyncSession], Awaitable[T]]) -> None:
        self._database = database
        self._name = name
        self._load = load
        self._held: tuple[T, int] | None = None
        self._fresh = Deadline(0)
        self._lock = asyncio.Lock()

    async def get(self) -> T:
        """Return the value; load it if its version has changed.

        Within an ambient transaction that changed it, it is loaded from there and not cached.
        """
        ambient = current_transaction(self._database)
        if ambient is not None and self._name in ambient.changed:
            return await self._load(ambient.session)
        if self._held is not None and (not self._fresh.passed or self._lock.locked()):
            self._database.cache_metrics.count(self._name, hit=True)
            return self._held[0]
        async with self._lock:
            if self._held is None or self._fresh.passed:
                held = self._held
                self._held = await self._refresh()
                self._database.cache_metrics.count(self._name, hit=self._held is held)
                self._fresh = Deadline(_CHECK_SECONDS)
            return self._held[0]

    @property
    def last(self) -> T | None:
        """The value as last loaded, for callers that already hold a connection; None before the first `get`."""
        return self._held[0] if self._held is not None else None

    def forget(self) -> None:
        """Check the version at the next `get`: for the process that has just made a change itself."""
        self._held = None
        ambient = current_transaction(self._database)
        if ambient is not None:
            ambient.after_commit.append(self._forget)

    def _forget(self) -> None:
        self._held = None

    async def changed(self, session: AsyncSession) -> None:
        """Record in `session` that the value has changed; call `forget` after the commit."""
        ambient = current_transaction(self._database)
        if ambient is not None:
            ambient.changed.add(self._name)
        await raise_version(self._database, session, self._name)

    async def _refresh(self) -> tuple[T, int]:
        with outside_transaction():
            return await self._check_version()

    async def _check_version(self) -> tuple[T, int]:
        async with self._database.transaction(read_only=True) as session:
            rows = await self._database.rows(session, VERSION_READ, name=self._name)
            version = rows[0].version if rows else 0
            if self._held is not None and self._held[1] == version:
                return self._held
            return await self._load(session), version
