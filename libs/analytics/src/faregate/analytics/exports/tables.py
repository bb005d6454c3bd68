"""Files of small tables whose rows are in memory."""

import csv
import io
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.formats import Format
from faregate.analytics.exports.guarding import harmless
from faregate.analytics.exports.parquet import parquet
from faregate.analytics.exports.sheets import cell, column_letters
from faregate.analytics.exports.texts import json_head, json_tail
from faregate.analytics.exports.workbook import workbook
from faregate.core.errors import InvalidError
from faregate.wire import exact_json

__all__ = ["Table", "sorted_rows", "table_file"]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, rows in their order, and what the file says about them where its form has a place for it."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    about: Mapping[str, Any]


async def table_file(table: Table, kind: Format, *, safe: bool = True) -> bytes:
    """Return the file, written as the exports of events are: amounts exact, times in UTC.

    With `safe`, CSV cells that a spreadsheet would run as formulas get an apostrophe in front.

    Raises:
        MissingExtraError: the library for Parquet is not installed.
    """
    if kind is Format.CSV:
        names = [[column.name for column in table.columns]]
        return _csv([*names, *table.rows], guard=harmless if safe else str)
    if kind is Format.XLSX:
        return await _gathered(workbook(table.columns, _chunk(_sheet_rows(table.rows)), lambda: _about(table)))
    if kind is Format.PARQUET:
        return await _gathered(parquet(table.columns, _chunk(_typed_csv(table)), {"metadata": table.about}))
    objects = [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]
    lines = [exact_json.dumps(each) for each in objects]
    if kind is Format.NDJSON:
        return b"".join(line + b"\n" for line in lines)
    return json_head(table.about, {"rows": len(lines)}) + b"\n" + b",\n".join(lines) + json_tail()


def sorted_rows(table: Table, by: str | None) -> Table:
    """Return the table in the order of the column `by`, descending if a `-` stands before its name; rows without a value last.

    Raises:
        InvalidError: there is no such column.
    """
    if by is None:
        return table
    names = [column.name for column in table.columns]
    name, down = by.removeprefix("-"), by.startswith("-")
    if name not in names:
        raise InvalidError(f"sort must be one of {', '.join(names)}, with - in front for descending", param="sort")
    place = names.index(name)
    known = sorted((row for row in table.rows if row[place] is not None), key=lambda row: row[place], reverse=down)
    return Table(table.columns, [*known, *(row for row in table.rows if row[place] is None)], table.about)


def _csv(rows: Sequence[Sequence[Any]], *, guard: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([guard(each) if isinstance(each, str) else _plain(each) for each in row] for row in rows)
    return text.getvalue().encode()


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _typed_csv(table: Table) -> bytes:
    """Return CSV in which every text is quoted, so that an empty text is not taken for none."""
    texts = [column.kind in {Kind.TEXT, Kind.JSON} for column in table.columns]
    rows = (
        ",".join(
            _quoted(each) if text and each is not None else _plain(each) for text, each in zip(texts, row, strict=True)
        )
        for row in table.rows
    )
    return "".join(f"{row}\n" for row in rows).encode()


def _quoted(value: Any) -> str:
    return '"' + str(value).replace('"', '""') + '"'


def _sheet_rows(rows: Sequence[Sequence[Any]]) -> bytes:
    return "\n".join(
        f'<row r="{at}">{"".join(cell(f"{column_letters(place)}{at}", each) for place, each in enumerate(row))}</row>'
        for at, row in enumerate(rows, 2)
    ).encode()


async def _about(table: Table) -> Mapping[str, Any]:
    return table.about


async def _chunk(data: bytes) -> AsyncGenerator[bytes]:
    if data:
        yield data


async def _gathered(chunks: AsyncGenerator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])
