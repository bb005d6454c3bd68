"""Ambient transaction of a task: several use cases in one transaction.

`Database.run_joined` opens it and `Database.transaction` joins it: a use case that would open its own transaction joins the
ambient one instead, if it runs in the same task. Tasks that it starts do not join. So a caller can write something in addition
to what the use case writes, and both are committed or neither.
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

__all__ = ["AmbientTransaction", "current_transaction", "entered_transaction", "outside_transaction"]


@dataclass(slots=True)
class AmbientTransaction:
    """A transaction that the transactions of its task join.

    Attributes:
        changed: names of cached values that it has changed; other transactions must not see the change before the commit.
        after_commit: functions to call after the commit.
        failure: the error of a use case within it; it must then roll back, even if the error was caught.
    """

    owner: object
    session: AsyncSession
    task: asyncio.Task[object] | None
    changed: set[str] = field(default_factory=set[str])
    after_commit: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    failure: BaseException | None = None

    @contextmanager
    def join(self) -> Generator[AsyncSession]:
        """Run one use case in this transaction."""
        try:
            yield self.session
        except BaseException as failure:
            self.failure = failure
            raise


_ambient: ContextVar[AmbientTransaction | None] = ContextVar("faregate_ambient_transaction", default=None)


def current_transaction(owner: object) -> AmbientTransaction | None:
    """Return the ambient transaction of `owner` in the running task, or None."""
    found = _ambient.get()
    if found is None or found.owner is not owner or found.task is not asyncio.current_task():
        return None
    return found


@contextmanager
def entered_transaction(owner: object, session: AsyncSession) -> Generator[AmbientTransaction]:
    """Make the transactions of `owner` within this block join `session`."""
    ambient = AmbientTransaction(owner, session, asyncio.current_task())
    token = _ambient.set(ambient)
    try:
        yield ambient
    finally:
        _ambient.reset(token)


@contextmanager
def outside_transaction() -> Generator[None]:
    """Make the transactions within this block independent of the ambient one: for data that must survive its rollback."""
    token = _ambient.set(None)
    try:
        yield
    finally:
        _ambient.reset(token)
