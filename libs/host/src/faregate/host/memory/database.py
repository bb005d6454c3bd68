"""Database of an in-memory deployment: transactions without a server."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Literal, TypeVar, cast

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.sql import VERSION_RAISE, VERSION_READ
from faregate.core.errors import ConfigurationError
from faregate.host.memory.store import Store

__all__ = ["MemoryDatabase"]

T = TypeVar("T")


class MemoryDatabase(Database):
    """Runs one transaction at a time on a store; one that fails leaves no trace."""

    def __init__(self, store: Store) -> None:
        super().__init__("postgresql://in-memory/")
        self.store = store
        self._free = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None
        self._session = cast("AsyncSession", SimpleNamespace(info={}))

    async def open(self) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Close nothing; the data stays until the object is gone."""

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: Literal["READ COMMITTED", "REPEATABLE READ"] = "READ COMMITTED",
        read_only: bool = False,
    ) -> AsyncGenerator[AsyncSession]:
        """Open a transaction; within another one of the same task, join it."""
        if self._holder is asyncio.current_task():
            yield self._session
            return
        async with self._free:
            self._holder, before = asyncio.current_task(), self.store.snapshot()
            try:
                yield self._session
            except BaseException:
                self.store.restore(before)
                raise
            finally:
                self._holder = None

    async def run_briefly(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run `work`; there are no locks of others to wait for."""
        return await self.run(work)

    async def rows(self, session: AsyncSession, sql: str, /, **parameters: Any) -> Sequence[Any]:
        """Read or raise the version of a cached table, the only statements that need no table of rows.

        Raises:
            ConfigurationError: another statement, of a part of the libraries that only a real database has.
        """
        versions = self.store.versions
        if sql == VERSION_RAISE:
            versions[parameters["name"]] = versions.get(parameters["name"], 0) + 1
            return ()
        if sql == VERSION_READ:
            return [SimpleNamespace(version=versions.get(parameters["name"], 0))]
        raise ConfigurationError(
            "this call needs a database; FakeFaregate has none. Test it with Faregate on the embedded server"
        )
