"""What a process may keep in memory: loaded whole, and looked after by a version number in the database.

Whoever changes the data raises the number in the same transaction. Readers look at the number at most twice a second, so
that a change reaches every process within a second, with no message to lose.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import Deadline
from faregate.core.db.ambient_transaction import apart, joined
from faregate.core.db.database import Database
from faregate.core.db.sql import VERSION_RAISE, VERSION_READ

__all__ = ["VersionedCache", "raise_version"]

T = TypeVar("T")

_LOOK_AGAIN_SECONDS = 0.5


async def raise_version(database: Database, session: AsyncSession, name: str) -> None:
    """Tell all processes, once `session` commits, that what is kept under `name` has changed."""
    await database.rows(session, VERSION_RAISE, name=name)


class VersionedCache(Generic[T]):
    """One value in memory, as fresh as its version; `load` reads it whole.

    `get` costs nothing while the last look is less than half a second old.
    """

    def __init__(self, database: Database, name: str, load: Callable[[AsyncSession], Awaitable[T]]) -> None:
        self._database = database
        self._name = name
        self._load = load
        self._held: tuple[T, int] | None = None
        self._fresh = Deadline(0)
        self._lock = asyncio.Lock()

    async def get(self) -> T:
        """Return the value; loads it when it has changed.

        Within a surrounding transaction that changed it, it is loaded there and not kept.
        """
        surrounding = joined(self._database)
        if surrounding is not None and self._name in surrounding.changed:
            return await self._load(surrounding.session)
        if self._held is not None and (not self._fresh.passed or self._lock.locked()):
            self._database.lookups.count(self._name, hit=True)
            return self._held[0]
        async with self._lock:
            if self._held is None or self._fresh.passed:
                held = self._held
                self._held = await self._refresh()
                self._database.lookups.count(self._name, hit=self._held is held)
                self._fresh = Deadline(_LOOK_AGAIN_SECONDS)
            return self._held[0]

    @property
    def last(self) -> T | None:
        """The value as it was last seen, for those who hold a connection already; None before the first `get`."""
        return self._held[0] if self._held is not None else None

    def forget(self) -> None:
        """Look again at the next `get`: for the process that has just made a change itself."""
        self._held = None
        surrounding = joined(self._database)
        if surrounding is not None:
            surrounding.after_commit.append(self._forget)

    def _forget(self) -> None:
        self._held = None

    async def changed(self, session: AsyncSession) -> None:
        """Note in `session` that the value has changed; call `forget` after the commit."""
        surrounding = joined(self._database)
        if surrounding is not None:
            surrounding.changed.add(self._name)
        await raise_version(self._database, session, self._name)

    async def _refresh(self) -> tuple[T, int]:
        with apart():
            return await self._look()

    async def _look(self) -> tuple[T, int]:
        async with self._database.transaction(read_only=True) as session:
            rows = await self._database.rows(session, VERSION_READ, name=self._name)
            version = rows[0].version if rows else 0
            if self._held is not None and self._held[1] == version:
                return self._held
            return await self._load(session), version
