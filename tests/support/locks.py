"""Locks of other connections, and transactions that wait for them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

from faregate.core.db.database import Database

__all__ = ["end_waiting", "until_waiting", "waiting", "wallets_locked"]

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_WAITING = "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
_OF_OWNER = """
select 1 from faregate.wallet w join faregate.subject s on s.subject_id = w.wallet_id where s.external_id = $1 for update of w
"""


async def waiting(database: Database) -> int:
    """Return how many transactions of this database wait for a lock now; one transaction would see the same number for ever."""
    async with database.transaction(read_only=True) as session:
        (row,) = await database.rows(session, f"select count(*) as n {_WAITING}")
    return int(row.n)


async def until_waiting(database: Database, number: int = 1) -> None:
    """Wait until so many transactions of this database wait for a lock."""
    async with asyncio.timeout(60):
        while await waiting(database) < number:
            await asyncio.sleep(0.02)


async def end_waiting(database: Database) -> None:
    """Terminate the connections that wait for a lock."""
    async with database.transaction(read_only=True) as session:
        await database.rows(session, f"select pg_terminate_backend(pid) {_WAITING}")


@asynccontextmanager
async def wallets_locked(url: str, owner: str | None = None) -> AsyncGenerator[Connection]:
    """Lock the wallet of `owner`, or all wallets, from another connection."""
    stranger = await asyncpg.connect(url)
    try:
        async with stranger.transaction():
            if owner is None:
                await stranger.execute("select 1 from faregate.wallet for update")
            else:
                assert await stranger.fetch(_OF_OWNER, owner)
            yield stranger
    finally:
        await stranger.close()
