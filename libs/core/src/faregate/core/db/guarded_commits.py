"""Connections whose commits are not cancelled.

A cancelled COMMIT that waits for a synchronous standby succeeds on the primary alone: PostgreSQL stops waiting, shows the rows to
everybody, and a failover forgets them. So a commit whose caller no longer waits ends with its connection instead: the server goes
on waiting, and shows nothing before a standby has it.
"""

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.transaction import Transaction

from faregate.core.db.lost_writes import unless_lost

__all__ = ["GuardedConnection", "GuardedTransaction"]

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection


class GuardedConnection(_Connection):
    """A connection of Faregate; a statement that sends many rows ends with it."""

    is_committing = False

    async def copy_to_table(self, table_name: str, **options: Any) -> str:
        """Do as `asyncpg.Connection.copy_to_table`."""
        return await unless_lost(self, super().copy_to_table(table_name, **options))

    async def copy_records_to_table(self, table_name: str, **options: Any) -> str:
        """Do as `asyncpg.Connection.copy_records_to_table`."""
        return await unless_lost(self, super().copy_records_to_table(table_name, **options))

    async def executemany(self, command: str, args: Any, *, timeout: float | None = None) -> None:
        """Do as `asyncpg.Connection.executemany`."""
        await unless_lost(self, super().executemany(command, args, timeout=timeout))

    def transaction(self, *, isolation: Any = None, readonly: bool = False, deferrable: bool = False) -> Transaction:
        """Return a transaction as `asyncpg.Connection.transaction` does."""
        return GuardedTransaction(self, isolation, readonly, deferrable)

    def _cancel_current_command(self, waiter: Any, cancel_waiter: Any = None) -> None:
        """Do what the driver does when a caller no longer waits for a statement, except for a COMMIT."""
        if self.is_committing:
            asyncio.get_running_loop().call_soon(self.terminate)
        else:
            inherited: Any = super()  # the types of the driver do not know its private methods
            inherited._cancel_current_command(waiter, cancel_waiter)  # noqa: SLF001


class GuardedTransaction(Transaction):
    """A transaction whose commit either ends or takes the connection with it."""

    def __init__(self, connection: GuardedConnection, isolation: Any, readonly: bool, deferrable: bool) -> None:
        super().__init__(connection, isolation, readonly, deferrable)
        self._guarded = connection

    async def commit(self) -> None:
        """Commit; if the caller is cancelled meanwhile, close the connection, and leave the outcome to the server."""
        self._guarded.is_committing = True
        try:
            await super().commit()
        finally:
            self._guarded.is_committing = False
