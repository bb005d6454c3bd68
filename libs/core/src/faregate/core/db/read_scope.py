"""Read scope: which server may answer the reads of a task.

Only reads that are declared for a replica (`Database.reading`) look at it; all others go to the primary in any case.
"""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from faregate.core.errors import ReplicaLostError

__all__ = ["ReadScope", "current_scope", "entered_scope", "fresh_reads", "repeated_on_primary"]

T = TypeVar("T")


@dataclass(slots=True)
class ReadScope:
    """Reads that belong together, such as those of one request: none of them is older than one before.

    Attributes:
        decide: tells whether they must see everything that was committed before they began, or may be a little behind. It is
            asked once, by the first read that a replica could answer; without it they must.
        on_primary: the primary answers; set for good as soon as it has answered one of them.
        position: how far in the write-ahead log the reads so far may have seen.
        lag_seconds: how far behind the replica was at most that answered; None if none did.
    """

    on_primary: bool = False
    position: int = 0
    lag_seconds: Decimal | None = None
    decide: Callable[[], Awaitable[bool]] | None = None

    async def must_be_fresh(self) -> bool:
        """Return whether the reads must see everything that was committed before they began."""
        if self.decide is not None and not await self.decide():
            self.decide = _may_be_behind
            return False
        self.decide = None
        return True

    def note(self, position: int, lag_seconds: Decimal) -> None:
        """Record a read that the replica has answered."""
        self.position = max(self.position, position)
        self.lag_seconds = max(self.lag_seconds or Decimal(0), lag_seconds)


async def _may_be_behind() -> bool:
    return False


_scope: ContextVar[ReadScope | None] = ContextVar("faregate_read_scope", default=None)


def current_scope() -> ReadScope | None:
    """Return the scope of the running task; None if its reads do not belong together."""
    return _scope.get()


@contextmanager
def entered_scope(scope: ReadScope) -> Generator[ReadScope]:
    """Make the reads of this block, also those of tasks that it starts, belong to `scope`."""
    token = _scope.set(scope)
    try:
        yield scope
    finally:
        _scope.reset(token)


@contextmanager
def fresh_reads() -> Generator[ReadScope]:
    """Make the reads of this block see everything that was committed before: for answers that are kept for long."""
    outer = _scope.get() or ReadScope()
    with entered_scope(ReadScope(on_primary=outer.on_primary, position=outer.position)) as scope:
        yield scope


async def repeated_on_primary(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work`; if the replica fails meanwhile, run it again on the primary. It must be safe to repeat."""
    with entered_scope(_scope.get() or ReadScope()) as scope:
        try:
            return await work()
        except ReplicaLostError:
            scope.on_primary = True
            return await work()
