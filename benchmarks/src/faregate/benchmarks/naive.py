"""Control of R2: read, decide, write without a lock.

It must overspend; otherwise there was no contention.
"""

import asyncio

from faregate.core.db.database import Database

__all__ = ["contend_naively"]

_PRICE = 7


async def contend_naively(database: Database, *, bound: int, attempts: int, connections: int) -> int:
    """Return how many of `attempts` a read-then-write balance grants when only `bound` can be paid."""
    async with database.transaction() as session:
        await database.rows(session, "create table if not exists faregate.naive_balance (balance bigint not null)")
        await database.rows(session, "truncate faregate.naive_balance")
        await database.rows(session, "insert into faregate.naive_balance values (:balance)", balance=bound * _PRICE + 3)
    try:
        granted = await asyncio.gather(*(_spend(database, attempts // connections) for _ in range(connections)))
    finally:
        async with database.transaction() as session:
            await database.rows(session, "drop table faregate.naive_balance")
    return sum(granted)


async def _spend(database: Database, attempts: int) -> int:
    granted = 0
    for _ in range(attempts):
        async with database.transaction() as session:
            ((balance,),) = await database.rows(session, "select balance from faregate.naive_balance")
            if balance < _PRICE:
                return granted
            write = "update faregate.naive_balance set balance = :balance"
            await database.rows(session, write, balance=balance - _PRICE)
        granted += 1
    return granted
