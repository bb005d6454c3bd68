"""Session that lives for one transaction.

SQLAlchemy starts a greenlet for each step of an asynchronous session, even for those that send nothing, and a task to close it:
together a quarter of the processor time of a short transaction. This one takes a single step at its end.
"""

import asyncio
from types import TracebackType

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

__all__ = ["SingleTransaction"]


class SingleTransaction:
    """Yields a session whose transaction commits when the block ends, and rolls back when the block raises.

    Does what `async with AsyncSession(engine) as session, session.begin()` does.
    """

    __slots__ = ("_session", "_transaction")

    def __init__(self, engine: AsyncEngine) -> None:
        self._session = AsyncSession(engine, expire_on_commit=False)
        self._transaction: SessionTransaction

    async def __aenter__(self) -> AsyncSession:
        self._transaction = self._session.sync_session.begin()
        self._transaction.__enter__()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        transaction = self._transaction

        def end(session: Session) -> None:
            transaction.__exit__(kind, error, trace)
            session.close()

        try:
            await self._session.run_sync(end)
        except BaseException:  # also a cancelled caller, who must not take the connection away from the pool
            await asyncio.shield(asyncio.create_task(self._session.close()))
            raise
