"""XLSX: one sheet of rows, one that says what they are."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.formats import XLSX_ROW_LIMIT
from faregate.analytics.exports.interfaces import Rows
from faregate.core import exact_json
from faregate.core.errors import InvalidError, MissingExtraError

__all__ = ["WorkbookFormat"]

_CELL_LIMIT = 32_767
_WIDTHS = {Kind.MOMENT: 22, Kind.TEXT: 20, Kind.JSON: 40}
_EXACT_DIGITS = 15


class WorkbookFormat:
    """XLSX in constant memory.

    A cell of XLSX is a double: an amount of more than 15 digits is written as text, so that no digit is lost. Text is
    never a formula nor a link; text longer than a cell (32,767 characters) is cut, and ends with `…`.
    """

    async def fill(self, path: Path, rows: Rows) -> None:
        book = _Book(path, rows.columns)
        try:
            async for batch in rows.batches:
                await asyncio.to_thread(book.add, batch)
            await asyncio.to_thread(book.finish, {**rows.metadata, **rows.summary})
        finally:
            book.let_go()


class _Book:
    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        try:
            xlsxwriter: Any = import_module("xlsxwriter")
        except ModuleNotFoundError as error:
            raise MissingExtraError("An export as XLSX", "exports") from error
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "remove_timezone": True,
            "tmpdir": str(path.parent),
        }
        self._book: Any = xlsxwriter.Workbook(str(path), options)
        self._columns = columns
        self._moment = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"})
        self._bold = self._book.add_format({"bold": True})
        self._sheet: Any = self._book.add_worksheet("rows")
        self._rows = 0
        self._sheet.freeze_panes(1, 0)
        for position, column in enumerate(columns):
            self._sheet.set_column(position, position, _WIDTHS.get(column.kind, 14))
            self._sheet.write_string(0, position, column.name, self._bold)

    def add(self, batch: Sequence[Sequence[Any]]) -> None:
        if self._rows + len(batch) > XLSX_ROW_LIMIT:
            raise InvalidError(
                f"XLSX holds {XLSX_ROW_LIMIT:,} rows at most; export fewer, or as csv or parquet", param="format"
            )
        for row in batch:
            self._rows += 1
            for position, (column, value) in enumerate(zip(self._columns, row, strict=True)):
                self._put(self._sheet, self._rows, position, column.kind, value)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Write what the rows are on a sheet of its own, and put the file together."""
        sheet: Any = self._book.add_worksheet("about")
        sheet.set_column(0, 1, 30)
        for row, (name, value) in enumerate(facts.items()):
            sheet.write_string(row, 0, name, self._bold)
            kind = Kind.JSON if isinstance(value, Mapping | list | tuple) else Kind.TEXT
            self._put(sheet, row, 1, kind, value)
        self._book.close()

    def let_go(self) -> None:
        """Close the rows' own temporary file, also when the book was never finished."""
        for sheet in self._book.worksheets():
            if not sheet.row_data_fh.closed:
                sheet.row_data_fh.close()

    def _put(self, sheet: Any, row: int, position: int, kind: Kind, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, datetime):
            sheet.write_datetime(row, position, value.astimezone(UTC).replace(tzinfo=None), self._moment)
        elif isinstance(value, Decimal | int) and not isinstance(value, bool) and _fits(value):
            sheet.write_number(row, position, value)
        else:
            sheet.write_string(row, position, _text(kind, value))


def _fits(value: Decimal | int) -> bool:
    """Whether a double tells `value` exactly, as far as fifteen digits go."""
    return len(Decimal(value).normalize().as_tuple().digits) <= _EXACT_DIGITS


def _text(kind: Kind, value: Any) -> str:
    plain = f"{value:f}" if isinstance(value, Decimal) else str(value)
    text = exact_json.dumps(value).decode() if kind is Kind.JSON else plain
    return text if len(text) <= _CELL_LIMIT else text[: _CELL_LIMIT - 1] + "…"
