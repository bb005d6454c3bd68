"""Rows from PostgreSQL by COPY.

PostgreSQL formats the bytes. Each export has one connection and one snapshot, and no buffer.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from faregate.analytics.exports.selection import Selection
from faregate.core.db.database import Database
from faregate.core.db.statements import SqlStatement
from faregate.wire import exact_json

__all__ = ["ExportSource"]

_CHUNKS_AHEAD = 4
_CHUNK_BYTES = 128 * 1024
_AS_IT_IS = {"format": "csv", "delimiter": "\x02", "quote": "\x01"}


class ExportSource:
    """Reads one selection, any number of times, from one snapshot of the database."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", selection: Selection, sql: Any) -> None:
        self._connection = connection
        self._selection = selection
        self._sql = sql

    @classmethod
    @asynccontextmanager
    async def open(cls, database: Database, selection: Selection) -> AsyncGenerator["ExportSource"]:
        """Open a separate connection; leaving the context early ends the query.

        A connection cannot be closed regularly during a COPY: it is aborted, and the server ends the query.
        """
        connection = await database.connect_reading()
        done = False
        try:
            await connection.execute("set statement_timeout = 0; set idle_in_transaction_session_timeout = '10min'")
            await connection.set_type_codec(
                "jsonb", encoder=_json_text, decoder=exact_json.loads, schema="pg_catalog", format="text"
            )
            transaction = connection.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
            with database.reading_losses_reported(connection):
                yield cls(connection, selection, database.sql)
            # on failure there is no rollback: the connection may be cut already, and cutting it ends the transaction
            await transaction.commit()
            done = True
        finally:
            if done:
                await connection.close()
            else:
                connection.terminate()

    def of(self, selection: Selection) -> "ExportSource":
        """Return a source of other rows of the same snapshot; one at a time may be read."""
        return ExportSource(self._connection, selection, self._sql)

    async def fetch(self, sql: str) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a statement with the parameters of the selection."""
        statement, arguments = self._prepared(sql)
        return [dict(row) for row in await self._connection.fetch(statement.driver_sql, *arguments)]

    async def summary(self) -> Mapping[str, Any]:
        """Return the totals over all rows."""
        statement, arguments = self._prepared(self._selection.summary_sql())
        return dict(await self._connection.fetchrow(statement.driver_sql, *arguments) or {})

    async def meters(self) -> Sequence[Mapping[str, Any]]:
        """Return for each meter its name, how many events named it, and the sum of their quantities."""
        statement, arguments = self._prepared(self._selection.meters_sql())
        return [dict(row) for row in await self._connection.fetch(statement.driver_sql, *arguments)]

    async def count(self, *, limit: int) -> int:
        """Return the number of rows, at most `limit`."""
        statement, arguments = self._prepared(f"select count(*) from (select 1 {self._selection.body} limit {limit}) r")  # noqa: S608
        return await self._connection.fetchval(statement.driver_sql, *arguments) or 0

    def csv(self, *, safe: bool, header: bool = True) -> AsyncGenerator[bytes]:
        """Yield CSV in chunks of whole rows."""
        return self._copy(self._selection.cells_sql(safe=safe), format="csv", header=header)

    def objects(self) -> AsyncGenerator[bytes]:
        """Yield one JSON object per line.

        COPY has no raw format. JSON text contains no control characters, so CSV with two of them as delimiter and quote
        leaves it unchanged.
        """
        return self._copy(self._selection.objects_sql(), **_AS_IT_IS)

    def sheet_rows(self) -> AsyncGenerator[bytes]:
        """Yield one row of a sheet per line, as XML, which contains no control characters either."""
        return self._copy(self._selection.sheet_rows_sql(), **_AS_IT_IS)

    async def _copy(self, sql: str, **options: Any) -> AsyncGenerator[bytes]:
        statement, arguments = self._prepared(sql)
        chunks: asyncio.Queue[bytes | None] = asyncio.Queue(_CHUNKS_AHEAD)
        gathered = bytearray()
        left = asyncio.Event()

        async def take(data: bytes) -> None:
            gathered.extend(data)
            if len(gathered) >= _CHUNK_BYTES:
                await chunks.put(bytes(gathered))
                gathered.clear()

        async def copy() -> None:
            try:
                await self._connection.copy_from_query(
                    statement.driver_sql, *arguments, output=take, timeout=None, **options
                )
                await chunks.put(bytes(gathered))
            finally:
                if not left.is_set():
                    await chunks.put(None)

        copying = asyncio.create_task(copy())
        try:
            while (chunk := await chunks.get()) is not None:
                if chunk:
                    yield chunk
            await copying
        finally:
            left.set()  # no further chunk is read, so waiting for space in the queue would never end
            if not copying.done():
                self._connection.terminate()
                copying.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await copying

    def _prepared(self, sql: str) -> tuple[SqlStatement, Sequence[Any]]:
        statement: SqlStatement = self._sql.statement(sql)
        return statement, [self._selection.parameters[name] for name in statement.names]


def _json_text(value: object) -> str:
    return exact_json.dumps(value).decode()
