"""SQL of the copy's table in ClickHouse. Pure.

One table for each store. Each file of the copy is a partition of it, named after the file's id: a partition is written whole,
never changed and dropped whole, and what no snapshot of PostgreSQL names is never read.
"""

from collections.abc import Collection
from uuid import UUID

from faregate.analytics.columnar.clickhouse.client import SentTable
from faregate.analytics.columnar.columns import COLUMNS, CopiedColumn
from faregate.analytics.columnar.interfaces import Selected

__all__ = [
    "COLUMN_NAMES",
    "PARTS",
    "about_sql",
    "create_sql",
    "drop_sql",
    "facts_sql",
    "insert_sql",
    "merge_sql",
    "sent_rows",
    "table_of",
]

_ROWS = "sent_rows"
_TAIL = "sent_tail"
_TYPES = {"BIGINT": "Int64", "INTEGER": "Int32", "SMALLINT": "Int16", "VARCHAR": "String"}
_SUMMED = frozenset({"input_tokens", "output_tokens", "credits", "charged", "cost"})
"""Sums of these may exceed 64 bits, where ClickHouse begins again at the least number."""

COLUMN_NAMES = ", ".join(column.name for column in COLUMNS)

PARTS = """
select partition, sum(rows), sum(bytes_on_disk) from system.parts
where active and database = currentDatabase() and table = {table:String} group by partition
"""


def table_of(store: UUID) -> str:
    """Return the name of a store's table."""
    return f"faregate_facts_{store.hex}"


def create_sql(table: str) -> str:
    """Return the statement that makes the table."""
    columns = ", ".join(f"{column.name} {_stored(column)}" for column in COLUMNS)
    return (
        f"create table if not exists {table} (file_id UUID, {columns}) "
        "engine = MergeTree partition by file_id order by (service, time_us)"
    )


def sent_rows(rows: bytes) -> SentTable:
    """Return rows of PostgreSQL's COPY as text, which is ClickHouse's TabSeparated."""
    return SentTable(_ROWS, _structure(), "TabSeparated", rows)


def insert_sql(table: str, file_id: UUID) -> str:
    """Return the statement that writes the sent rows as one file."""
    return _written(table, file_id, _ROWS)


def merge_sql(table: str, file_id: UUID, merged: Collection[UUID]) -> str:
    """Return the statement that writes one file with the facts of several."""
    return f"{_written(table, file_id, table)} where file_id in ({_ids(merged)})"


def drop_sql(table: str, file_id: UUID) -> str:
    """Return the statement that removes a file. Safe to repeat."""
    return f"alter table {table} drop partition '{file_id}'"


def about_sql(table: str, file_id: UUID) -> str:
    """Return the query for the number of facts of a file, and their first and last time."""
    return f"select count(), min(time_us), max(time_us) from {table} where file_id = '{file_id}'"  # noqa: S608


def facts_sql(selected: Selected) -> tuple[str, list[SentTable]]:
    """Return the query for the facts of a question, and the tail that is sent with it.

    It fails if the files do not hold all facts that PostgreSQL says they do: one was dropped, or a replica is behind.
    """
    table, files = table_of(selected.view.store), _ids(selected.view.file_ids)
    columns = ", ".join(f"{_read(column)} as {column.name}" for column in COLUMNS)
    whole = (
        f"select throwIf(count() <> {selected.view.facts}, 'facts are missing') from {table} where file_id in ({files})"  # noqa: S608
    )
    found = (
        f"select {columns} from {table} e where e.file_id in ({files}) and {selected.condition.sql} and ({whole}) = 0"  # noqa: S608
    )
    if not selected.tail:
        return found, []
    tail = SentTable(_TAIL, _structure(), "JSONEachRow", selected.tail.encode())
    return f"{found} union all select {columns} from {_TAIL} e", [tail]  # noqa: S608


def _written(table: str, file_id: UUID, source: str) -> str:
    return f"insert into {table} (file_id, {COLUMN_NAMES}) select toUUID('{file_id}'), {COLUMN_NAMES} from {source}"  # noqa: S608


def _ids(file_ids: Collection[UUID]) -> str:
    return ", ".join(f"'{file_id}'" for file_id in file_ids)


def _type(column: CopiedColumn) -> str:
    kind = _TYPES.get(column.type, column.type.title())
    return kind if column.required else f"Nullable({kind})"


def _stored(column: CopiedColumn) -> str:
    return f"LowCardinality({_type(column)})" if column.type == "VARCHAR" else _type(column)


def _structure() -> str:
    return ", ".join(f"{column.name} {_type(column)}" for column in COLUMNS)


def _read(column: CopiedColumn) -> str:
    """Return a column as questions read it."""
    if column.name in _SUMMED:
        kind = "Decimal(38, 0)" if column.required else "Nullable(Decimal(38, 0))"
        return f"cast(e.{column.name} as {kind})"
    return f"cast(e.{column.name} as {_stored(column)})" if column.type == "VARCHAR" else f"e.{column.name}"
