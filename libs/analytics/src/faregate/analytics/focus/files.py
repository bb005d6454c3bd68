"""CSV of FOCUS: cells, batches and checks of a file. Pure."""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from faregate.analytics.exports.guarding import harmless
from faregate.analytics.focus.columns import FocusVersion, columns_of
from faregate.analytics.focus.validator import FocusInvalidError, check_rows, problems
from faregate.analytics.focus.values import FocusBatch, FocusRow
from faregate.wire.exact_json import plain

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "FocusWriter", "check_file"]

BATCH_ROWS = 10_000
BATCH_BYTES = 2_000_000
"""What consumers take in one upload."""


class FocusWriter:
    """Writes one CSV; every row is validated before it is written."""

    def __init__(self, version: FocusVersion = FocusVersion.V1_2) -> None:
        self._names = [column.name for column in columns_of(version)]
        self._text = io.StringIO()
        self._csv = csv.writer(self._text, lineterminator="\n")
        self._csv.writerow(self._names)
        self.rows = 0
        self.bytes = len(self._text.getvalue())

    def add(self, row: FocusRow) -> None:
        """Write a row.

        Raises:
            FocusInvalidError: it is not valid; a defect, since rows are made here.
        """
        cells = {name: _cell(row[name]) for name in self._names}
        for problem in problems(cells):
            raise FocusInvalidError(f"use {row['x_UsageKey']}: {problem}")
        before = self._text.tell()
        self._csv.writerow([_written(cells[name], row[name]) for name in self._names])
        self.rows += 1
        self.bytes += self._text.tell() - before

    def done(self) -> FocusBatch:
        """Return the file."""
        return FocusBatch(self._text.getvalue().encode(), self.rows)


def check_file(content: bytes, version: FocusVersion = FocusVersion.V1_2) -> int:
    """Return the number of rows of a CSV, which are all valid in FOCUS; an empty cell is null.

    Raises:
        FocusInvalidError: not a CSV with a heading, or the first problem of a row.
    """
    try:
        lines = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        names = next(lines, list[str]())
        return check_rows(names, _rows(names, lines), version)
    except (UnicodeDecodeError, csv.Error) as error:
        raise FocusInvalidError(f"the file is not CSV in UTF-8: {error}") from None


def _rows(names: list[str], lines: Iterator[list[str]]) -> Iterator[Mapping[str, str | None]]:
    for number, cells in enumerate(lines, 1):
        if len(cells) != len(names):
            raise FocusInvalidError(f"row {number}: {len(cells)} cells, but the heading has {len(names)}")
        yield {name: cell or None for name, cell in zip(names, cells, strict=True)}


def _cell(value: Any) -> str | None:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value).strip() or None if value is not None else None


def _written(cell: str | None, value: Any) -> str:
    """Return the cell as it is written: a text that a spreadsheet would run gets an apostrophe in front."""
    return "" if cell is None else harmless(cell) if isinstance(value, str) else cell
