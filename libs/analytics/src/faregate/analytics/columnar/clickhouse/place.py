"""ClickHouse as the place of the columnar copy.

Each file of the copy is a partition of a table.
"""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from uuid import UUID, uuid4

from faregate.analytics.columnar.clickhouse.address import ClickHouseAddress
from faregate.analytics.columnar.clickhouse.client import NEEDS_CLICKHOUSE, ClickHouseClient, clickhouse_installed
from faregate.analytics.columnar.clickhouse.errors import ClickHouseError
from faregate.analytics.columnar.clickhouse.tables_sql import (
    PARTS,
    about_sql,
    create_sql,
    drop_sql,
    insert_sql,
    merge_sql,
    sent_rows,
    table_of,
)
from faregate.analytics.columnar.interfaces import RowsFormat
from faregate.analytics.columnar.values import CopiedFile, moment_of

__all__ = ["ClickHousePlace", "ClickHouseStore"]

_WRITE_SECONDS = 600


class ClickHousePlace:
    """The database that `FAREGATE_CLICKHOUSE_URL` names."""

    rows_format: RowsFormat = "text"
    needs: tuple[str, str] = (NEEDS_CLICKHOUSE, "clickhouse")

    def __init__(self, address: ClickHouseAddress) -> None:
        self._client = ClickHouseClient(address, timeout_seconds=_WRITE_SECONDS)

    @property
    def installed(self) -> bool:
        """Whether the extra is installed."""
        return clickhouse_installed()

    def name(self, store: UUID) -> str:
        """Return the address of a store's table."""
        return f"{self._client.address}/{table_of(store)}"

    @asynccontextmanager
    async def open(self, store: UUID) -> AsyncGenerator["ClickHouseStore"]:
        """Open a store for one run."""
        yield ClickHouseStore(self._client, table_of(store))


class ClickHouseStore:
    """The table of one copy.

    A run that is killed leaves a partition under an id that PostgreSQL does not know, and the next run drops it. So nothing is
    counted twice, and nothing that an insert has left half done is read.
    """

    def __init__(self, client: ClickHouseClient, table: str) -> None:
        self._client = client
        self._table = table

    async def make(self) -> None:
        """Create the table if it is missing."""
        await self._client.run(create_sql(self._table))

    def begin(self, month: date) -> "_SentRows":
        """Begin a file."""
        return _SentRows(self, month)

    async def write(self, month: date, rows: bytes, facts: int) -> CopiedFile:
        """Write rows as one file."""
        file_id = uuid4()
        await self._client.run(insert_sql(self._table, file_id), tables=[sent_rows(rows)])
        return await self._checked(file_id, month, facts)

    async def merge(self, files: Sequence[CopiedFile]) -> CopiedFile:
        """Write one file with the facts of several files of one month."""
        file_id = uuid4()
        await self._client.run(merge_sql(self._table, file_id, [file.file_id for file in files]))
        return await self._checked(file_id, files[0].month, sum(file.facts for file in files))

    async def remove(self, file_ids: Collection[UUID]) -> None:
        """Remove files. Safe to repeat."""
        for file_id in file_ids:
            await self._client.run(drop_sql(self._table, file_id))

    async def clean(self, known: Collection[UUID]) -> int:
        """Remove the files that a killed run has left, and return how many."""
        left = set(await self._parts()) - set(known)
        await self.remove(left)
        return len(left)

    async def broken(self, files: Sequence[CopiedFile]) -> set[UUID]:
        """Return the files that are missing, or hold another number of facts."""
        parts = await self._parts()
        return {file.file_id for file in files if parts.get(file.file_id, (0, 0))[0] != file.facts}

    async def _checked(self, file_id: UUID, month: date, facts: int) -> CopiedFile:
        """Return a file that was written; its size is that of its parts now, which ClickHouse may still merge."""
        ((found, first, last),) = await self._client.rows(about_sql(self._table, file_id))
        if found != facts:
            raise ClickHouseError(
                f"ClickHouse at {self._client.address} kept {found} of {facts} facts; the next run writes them again"
            )
        size = (await self._parts()).get(file_id, (0, 0))[1]
        return CopiedFile(file_id, month, facts, size, moment_of(first), moment_of(last))

    async def _parts(self) -> Mapping[UUID, tuple[int, int]]:
        """Return the number of facts and the bytes of each file."""
        rows = await self._client.rows(PARTS, {"table": self._table})
        return {UUID(partition): (facts, size) for partition, facts, size in rows}


class _SentRows:
    """Rows of PostgreSQL's COPY as text, in memory until they are sent."""

    def __init__(self, store: ClickHouseStore, month: date) -> None:
        self.size = 0
        self._store = store
        self._month = month
        self._rows: list[bytes] = []

    async def add(self, rows: bytes) -> None:
        """Append whole rows."""
        self._rows.append(rows)
        self.size += len(rows)

    async def end(self) -> CopiedFile | None:
        """Write the file; None without rows. A row is a line: line breaks within values are escaped."""
        rows = b"".join(self._rows)
        return await self._store.write(self._month, rows, rows.count(b"\n")) if rows else None
