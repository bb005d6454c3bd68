"""CSV, NDJSON and JSON, for rows that are in memory batch by batch."""

import csv
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from io import StringIO
from typing import Any

from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.guarding import harmless
from faregate.analytics.exports.interfaces import Rows
from faregate.core import exact_json

__all__ = ["CsvWriter", "JsonWriter", "NdjsonWriter", "json_head", "json_tail"]


class CsvWriter:
    """CSV as RFC 4180 has it, in UTF-8, with a heading; nothing known is an empty cell.

    With `safe` (the rule) no cell can be a formula; without it text is as it is, for programs that read it back.
    """

    def __init__(self, *, safe: bool = True) -> None:
        self._safe = safe

    async def write(self, rows: Rows) -> AsyncGenerator[bytes]:
        yield _csv([[column.name for column in rows.columns]])
        async for batch in rows.batches:
            yield _csv([self._cells(rows.columns, row) for row in batch])

    def _cells(self, columns: Sequence[Column], row: Sequence[Any]) -> list[str | None]:
        return [self._cell(column, value) for column, value in zip(columns, row, strict=True)]

    def _cell(self, column: Column, value: Any) -> str | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, Decimal):
            return f"{value:f}"
        text = exact_json.dumps(value).decode() if column.kind is Kind.JSON else str(value)
        return harmless(text) if self._safe and column.guarded and column.kind is Kind.TEXT else text


class NdjsonWriter:
    """One JSON object per line; amounts are exact numbers."""

    async def write(self, rows: Rows) -> AsyncGenerator[bytes]:
        names = [column.name for column in rows.columns]
        async for batch in rows.batches:
            yield b"".join(_object(names, row) + b"\n" for row in batch)


class JsonWriter:
    """One JSON object: `metadata`, `summary` and `rows`."""

    async def write(self, rows: Rows) -> AsyncGenerator[bytes]:
        yield json_head(rows.metadata, rows.summary)
        names = [column.name for column in rows.columns]
        between = b"\n"
        async for batch in rows.batches:
            if batch:
                yield between + b",\n".join(_object(names, row) for row in batch)
                between = b",\n"
        yield json_tail()


def json_head(metadata: Mapping[str, Any], summary: Mapping[str, Any]) -> bytes:
    """Return how a JSON export begins, up to its rows."""
    return b'{"metadata":' + exact_json.dumps(metadata) + b',\n"summary":' + exact_json.dumps(summary) + b',\n"rows":['


def json_tail() -> bytes:
    """Return how a JSON export ends."""
    return b"\n]}\n"


def _object(names: Sequence[str], row: Sequence[Any]) -> bytes:
    return exact_json.dumps(dict(zip(names, row, strict=True)))


def _csv(rows: Sequence[Sequence[str | None]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
