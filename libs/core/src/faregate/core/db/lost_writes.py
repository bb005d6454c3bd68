"""Statements that end with their connection while they send rows.

The driver waits for room in the socket's buffer before it sends the next rows, and is not woken when the connection is lost
meanwhile: the statement would wait for ever (asyncpg 0.32, `copy_in` and `bind_execute_many` in protocol.pyx).
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg

__all__ = ["unless_lost"]

T = TypeVar("T")


async def unless_lost(connection: "asyncpg.Connection[asyncpg.Record]", statement: Coroutine[Any, Any, T]) -> T:
    """Return what `statement` does; raise `asyncpg.ConnectionDoesNotExistError` if the connection is lost first.

    An error of the rows' source remains the error of the statement.
    """
    lost = asyncio.Event()
    connection.add_termination_listener(report := lambda _: lost.set())
    sent = asyncio.create_task(statement)
    told = asyncio.create_task(lost.wait())
    try:
        await asyncio.wait({sent, told}, return_when=asyncio.FIRST_COMPLETED)
        if connection.is_closed():
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return sent.result()
    finally:
        connection.remove_termination_listener(report)
        for task in (sent, told):
            task.cancel()
        await asyncio.gather(sent, told, return_exceptions=True)
