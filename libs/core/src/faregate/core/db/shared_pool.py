"""Database of one tenant, on connections that all tenants share."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.ambient_transaction import current_transaction
from faregate.core.db.database import Database
from faregate.core.db.schema import SCHEMA
from faregate.core.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    import asyncpg

__all__ = ["SchemaDatabase"]

_WAIT_SECONDS = 30.0


class SchemaDatabase(Database):
    """The tables of one schema, on the pool of another `Database`.

    Every statement names the schema, so that a connection keeps nothing of one tenant for the next. `share` bounds how many
    connections it holds at once, so that a tenant that is busy leaves some to the others. A task that holds one already is given
    another one without waiting: it would wait for itself.
    """

    def __init__(self, pool: Database, schema: str, *, share: int) -> None:
        replica = pool.replica.of_schema(schema, share=share) if pool.replica is not None else None
        super().__init__(schema=schema, replica=replica)
        self._pool = pool
        self._connector = pool._connector  # noqa: SLF001 - its watch knows the connections that are used here
        self._share = share
        self._free = asyncio.Semaphore(share)
        self._holders: Counter[asyncio.Task[Any] | None] = Counter()

    @property
    def url(self) -> str:
        return self._pool.url

    @property
    def direct_url(self) -> str:
        return self._pool.direct_url

    async def open(self) -> None:
        """Open the pool if it is not open. Safe to repeat."""
        if self._engine is None:
            await self._pool.open()
            if self.replica is not None:
                await self.replica.open()
            self._engine = self._pool._require_engine().execution_options(  # noqa: SLF001
                schema_translate_map={SCHEMA: self.sql.schema}
            )

    async def close(self) -> None:
        """Refuse new transactions; the pool belongs to others. Safe to repeat."""
        self._engine = None
        self._variants.clear()
        if self.replica is not None:
            await self.replica.close()

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Literal["READ COMMITTED", "REPEATABLE READ"] = "READ COMMITTED", read_only: bool = False
    ) -> AsyncGenerator[AsyncSession]:
        joins = isolation == "READ COMMITTED" and current_transaction(self) is not None
        task = asyncio.current_task()
        waits = not joins and not self._holders[task]
        if waits:
            await self._take()
        self._holders[task] += 1
        try:
            async with super().transaction(isolation=isolation, read_only=read_only) as session:
                yield session
        finally:
            self._holders[task] -= 1
            if not self._holders[task]:
                del self._holders[task]
            if waits:
                self._free.release()

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        return await self._pool.connect()

    async def _take(self) -> None:
        try:
            await asyncio.wait_for(self._free.acquire(), _WAIT_SECONDS)
        except TimeoutError:
            raise DatabaseUnavailableError(
                f"the tenant of schema {self.sql.schema} uses all its {self._share} connections",
                "raise FAREGATE_TENANT_CONNECTIONS, or find out what keeps them",
            ) from None
