"""Connections whose commits are not cancelled.

A cancelled COMMIT that waits for a synchronous standby succeeds on the primary alone: PostgreSQL stops waiting, shows the rows to
everybody, and a failover forgets them. So a commit whose caller no longer waits ends with its connection instead: the server goes
on waiting, and shows nothing before a standby has it.
"""

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.transaction import Transaction

__all__ = ["GuardedConnection", "GuardedTransaction"]

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection


class GuardedConnection(_Connection):
    """A connection of Faregate."""

    def transaction(self, *, isolation: Any = None, readonly: bool = False, deferrable: bool = False) -> Transaction:
        """Return a transaction as `asyncpg.Connection.transaction` does."""
        return GuardedTransaction(self, isolation, readonly, deferrable)


class GuardedTransaction(Transaction):
    """A transaction whose commit either ends or takes the connection with it."""

    def __init__(self, connection: GuardedConnection, isolation: Any, readonly: bool, deferrable: bool) -> None:
        super().__init__(connection, isolation, readonly, deferrable)
        self._guarded = connection

    async def commit(self) -> None:
        """Commit; if the caller is cancelled meanwhile, close the connection, and leave the outcome to the server."""
        committing = asyncio.ensure_future(super().commit())
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            self._guarded.terminate()
            with contextlib.suppress(Exception):
                await committing
            raise
