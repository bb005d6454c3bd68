"""Batches of one transaction each, divided when they fail as a whole."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.error_states import is_passing
from faregate.core.errors import DatabaseBusyError
from faregate.core.logging import get_logger
from faregate.core.runtime.batcher import bisect_failures

__all__ = ["ITransact", "isolate_failures"]

log = get_logger(__name__)

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")


class ITransact(Protocol):
    """Runs `work` in a transaction: `Database.run` or `Database.run_briefly`."""

    def __call__(self, work: Callable[[AsyncSession], Awaitable[T]]) -> Coroutine[Any, Any, T]: ...


async def isolate_failures(
    database: Database,
    items: Sequence[Q],
    run: Callable[[Sequence[Q], ITransact], Awaitable[Sequence[A | Exception]]],
) -> list[A | Exception]:
    """Process `items` in one transaction, halving a batch that fails as a whole until each failing item is isolated.

    `run` processes some of them in one transaction, which it opens by the function that it is given. After rows stayed locked,
    the halves wait for locks only briefly: else each of them would wait as long as the whole batch has.

    Raises:
        EngineUnavailableError: the database is unavailable; of parts that were committed before, nothing is known.
    """
    transact: ITransact = database.run

    async def part(those: Sequence[Q]) -> Sequence[A | Exception]:
        nonlocal transact
        try:
            return await run(those, transact)
        except DatabaseBusyError as error:
            if transact == database.run:  # once for a batch
                log.warning("database_busy", items=len(those), reason=error.detail)
            transact = database.run_briefly
            raise

    return await bisect_failures(items, part, is_passing=is_passing)
