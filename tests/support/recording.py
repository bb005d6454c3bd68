"""A library that records its statements to PostgreSQL."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from dependency_injector import providers
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.container import CoreContainer
from faregate.core.db.database import Database
from faregate.core.settings import load_settings
from faregate.credit.container import CreditContainer
from faregate.usage.container import UsageContainer
from support.library import Library

__all__ = ["RecordingDatabase", "recorded_library"]


class RecordingDatabase(Database):
    """Records every statement, and the maximum number of concurrent writing transactions."""

    def __init__(self, url: str) -> None:
        super().__init__(url, pool_size=20)
        self.statements: list[str] = []
        self.at_once_most = 0
        self._running = 0

    def forget(self) -> None:
        self.statements.clear()
        self.at_once_most = 0

    async def rows(self, session: AsyncSession, sql: str, /, **parameters: Any) -> Sequence[Any]:
        self.statements.append(sql)
        return await super().rows(session, sql, **parameters)

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Literal["READ COMMITTED", "REPEATABLE READ"] = "READ COMMITTED", read_only: bool = False
    ) -> AsyncGenerator[AsyncSession]:
        counted = 0 if read_only else 1
        self._running += counted
        self.at_once_most = max(self.at_once_most, self._running)
        try:
            async with super().transaction(isolation=isolation, read_only=read_only) as session:
                yield session
        finally:
            self._running -= counted


@asynccontextmanager
async def recorded_library(url: str) -> AsyncGenerator[tuple[Library, RecordingDatabase]]:
    """Compose a library as one process does."""
    settings = load_settings(database_url=url)
    database = RecordingDatabase(url)
    core = CoreContainer(settings=settings)
    core.database.override(providers.Object(database))
    credit = CreditContainer(
        settings=settings, database=core.database, subjects=core.subjects, outbox=core.outbox, progress=core.heartbeats
    )
    usage = UsageContainer(
        settings=settings, database=core.database, subjects=core.subjects, credit=credit.service, clock=core.clock
    )
    await database.open()
    try:
        yield Library(core, credit, usage), database
    finally:
        await database.close()
