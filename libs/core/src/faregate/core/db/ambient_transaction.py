"""One transaction around several use cases: what `Database.run_joined` sets up and `Database.transaction` looks for.

A use case that opens its own transaction joins the surrounding one instead, if it runs in the same task; tasks that it
starts do not. So a caller can write something beside what the use case writes, and have both or neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line reads values that are defined beside this without loading SQLAlchemy
    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["AmbientTransaction", "apart", "joined", "joining"]


@dataclass(slots=True)
class AmbientTransaction:
    """The surrounding transaction.

    Attributes:
        changed: names of versioned values that it has changed; others must not see them before the commit.
        after_commit: called when it has committed.
        failure: a use case within it failed, so that it must not commit whatever was made of the failure.
    """

    owner: object
    session: AsyncSession
    task: asyncio.Task[object] | None
    changed: set[str] = field(default_factory=set[str])
    after_commit: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    failure: BaseException | None = None

    @contextmanager
    def part(self) -> Generator[AsyncSession]:
        """Run one use case in it."""
        try:
            yield self.session
        except BaseException as failure:
            self.failure = failure
            raise


_surrounding: ContextVar[AmbientTransaction | None] = ContextVar("faregate_joined", default=None)


def joined(owner: object) -> AmbientTransaction | None:
    """Return the transaction of `owner` that surrounds the running code."""
    found = _surrounding.get()
    if found is None or found.owner is not owner or found.task is not asyncio.current_task():
        return None
    return found


@contextmanager
def joining(owner: object, session: AsyncSession) -> Generator[AmbientTransaction]:
    """Have the transactions of `owner` within this block join `session`."""
    surrounding = AmbientTransaction(owner, session, asyncio.current_task())
    token = _surrounding.set(surrounding)
    try:
        yield surrounding
    finally:
        _surrounding.reset(token)


@contextmanager
def apart() -> Generator[None]:
    """Have the transactions within this block join nothing: for what is kept beyond the surrounding transaction."""
    token = _surrounding.set(None)
    try:
        yield
    finally:
        _surrounding.reset(token)
