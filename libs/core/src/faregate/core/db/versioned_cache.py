"""In-memory cache of a whole table, checked by version number.

A change to the data raises the version number in the same transaction. Readers check the number at most twice a second, so that
a change reaches every process within a second, without a message that could be lost.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import Deadline
from faregate.core.db.ambient_transaction import current_transaction, outside_transaction
from faregate.core.db.database import Database
from faregate.core.db.sql import VERSION_RAISE, VERSION_READ

__all__ = ["VersionedCache", "raise_version"]

T = TypeVar("T")

_CHECK_SECONDS = 0.5
_AHEAD = 0.2
"""The last part of the time between two checks, in which a caller starts the next one and does not wait for it."""


async def raise_version(database: Database, session: AsyncSession, name: str) -> None:
    """Invalidate the value cached under `name` in all processes, once `session` commits."""
    await database.rows(session, VERSION_RAISE, name=name)


class VersionedCache(Generic[T]):
    """One cached value and its version; `load` reads it completely.

    `get` costs nothing if the version was checked less than half a second ago. While it is called often, the checks are made in the
    background, shortly before they are due, so that no caller waits for one.
    """

    def __init__(self, database: Database, name: str, load: Callable[[AsyncSession], Awaitable[T]]) -> None:
        self._database = database
        self._name = name
        self._load = load
        self._held: tuple[T, int] | None = None
        self._fresh = Deadline(0)
        self._lock = asyncio.Lock()
        self._forgotten = 0
        self._begun = self._looked = 0
        self._checking: asyncio.Task[None] | None = None

    async def get(self) -> T:
        """Return the value; load it if its version has changed.

        Within an ambient transaction that changed it, it is loaded from there and not cached.
        """
        ambient = current_transaction(self._database)
        if ambient is not None and self._name in ambient.changed:
            return await self._load(ambient.session)
        if self._held is not None and (not self._fresh.passed or self._lock.locked()):
            self._check_ahead()
            self._database.cache_metrics.count(self._name, hit=True)
            return self._held[0]
        async with self._lock:
            if self._held is None or self._fresh.passed:
                held = self._held
                found = await self._renew()
                self._database.cache_metrics.count(self._name, hit=found is held)
                return found[0]
            return self._held[0]

    async def newest(self) -> T:
        """Return the value of now: the version is checked, however short ago it was. For what a value of before does not know."""
        ambient = current_transaction(self._database)
        if ambient is not None and self._name in ambient.changed:
            return await self._load(ambient.session)
        asked_at = self._begun
        async with self._lock:
            if self._held is not None and self._looked > asked_at:  # another caller has looked since
                return self._held[0]
            return (await self._renew())[0]

    def _check_ahead(self) -> None:
        is_due = self._fresh.remaining_seconds < _AHEAD * _CHECK_SECONDS
        if is_due and not self._lock.locked() and (self._checking is None or self._checking.done()):
            self._checking = asyncio.create_task(self._checked())

    async def _checked(self) -> None:
        with suppress(Exception):  # the next caller checks itself, and is told
            async with self._lock:
                await self._renew()

    async def _renew(self) -> tuple[T, int]:
        """Store and return the value and its version; again, if this process has changed it meanwhile."""
        while True:
            forgotten, self._begun = self._forgotten, self._begun + 1
            found = await self._refresh()
            if forgotten == self._forgotten:
                self._held, self._fresh, self._looked = found, Deadline(_CHECK_SECONDS), self._begun
                return found

    @property
    def last(self) -> T | None:
        """The value as last loaded, for callers that already hold a connection; None before the first `get`."""
        return self._held[0] if self._held is not None else None

    def forget(self) -> None:
        """Check the version at the next `get`: for the process that has just made a change itself."""
        self._forget()
        ambient = current_transaction(self._database)
        if ambient is not None:
            ambient.after_commit.append(self._forget)

    def _forget(self) -> None:
        self._held = None
        self._forgotten += 1

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
