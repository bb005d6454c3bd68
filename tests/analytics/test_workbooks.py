"""Workbooks: rows are streamed, texts and numbers are preserved, large archives are valid."""

import io
import tracemalloc
import zipfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from re import sub
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.parquet import parquet
from faregate.analytics.exports.selection import EVENT_COLUMNS
from faregate.analytics.exports.sheets import cell, column_letters, row_sql, text_cell
from faregate.analytics.exports.workbook import workbook
from faregate.analytics.exports.zipping import ZipStream
from faregate.core.db.database import Database

TEXTS = [
    *("plain", "", " padded ", "\tx", "a\nb\r\nc", "<a href='x'>&amp;</a>", '"quoted"', "]]>", "ä€😀", "=1+1"),
    *("\x01", "a\x1fb", "\x0b\x0c\x7f", "\ufffe\uffff", "_x0041_", "_x0041_x0042_", "_xzzzz_", "__x000a_", "&#10;"),
    *("x" * 32_767, "x" * 32_768, "é" * 32_768, "😀" * 9_000),
]
NUMBERS = [
    *("0", "1", "-1", "0.000001", "-0.5", "1.50", "100", "123456789012345", "1234567890123456", "0.000000000002"),
    *("12345678901234567890", "0.1234567890123456", "123456789012345000", "-999999999999999.9", "NaN"),
    *("0.999999999999999999999999999999", "1e20", "1e-12"),
]


async def sheet(database: Database, column: Column, kind: str, values: Sequence[Any]) -> list[str]:
    body = f"from unnest(cast(:values as {kind}[])) with ordinality as u (value, n)"
    async with database.transaction() as session:
        rows = await database.rows(session, row_sql([column], body), values=values)
    return [row[0] for row in rows]


async def test_a_row_in_sql_is_the_row_in_python(database: Database) -> None:
    """The database writes each text, number and time as the Python code does."""
    moments = [datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), None]
    numbers = [Decimal(number) for number in NUMBERS]
    cases: list[tuple[Kind, str, Sequence[Any]]] = [
        (Kind.TEXT, "text", [*TEXTS, None]),
        (Kind.QUANTITY, "numeric", [*numbers, None]),
        (Kind.INTEGER, "bigint", [0, -5, 123456789012345, 9223372036854775807, None]),
        (Kind.MOMENT, "timestamptz", moments),
    ]
    for kind, sql_type, values in cases:
        made = await sheet(database, Column("value", kind, "u.value"), sql_type, values)
        assert made == [f'<row r="{at}">{cell(f"A{at}", value)}</row>' for at, value in enumerate(values, 2)]


@given(st.text(max_size=30) | st.sampled_from(TEXTS[:-4]))
def test_a_text_is_read_back_unchanged_from_its_cell(text: str) -> None:
    (found,) = ET.fromstring(text_cell("A1", text)).iter("t")  # noqa: S314  our own XML

    assert sub("_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match[1], 16)), found.text or "") == text


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("0.700007", "<v>0.700007</v>"),
        ("-2E-12", "<v>-0.000000000002</v>"),
        ("123456789012345", "<v>123456789012345</v>"),
        ("1234567890.123456", "<is><t>1234567890.123456</t></is>"),
        ("0.999999999999999999999999999999", "<is><t>0.999999999999999999999999999999</t></is>"),
    ],
)
def test_a_number_keeps_all_its_digits(number: str, written: str) -> None:
    """Up to 15 of them as a number, more as text."""
    assert written in cell("A1", Decimal(number))


def test_columns_have_the_names_of_spreadsheets() -> None:
    assert [column_letters(at) for at in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


class Source:
    """Rows that count how many were read."""

    def __init__(self, chunk: bytes, times: int) -> None:
        self.taken, self.total = 0, times
        self._chunk = chunk

    async def rows(self) -> AsyncGenerator[bytes]:
        for _ in range(self.total):
            self.taken += 1
            yield self._chunk

    async def about(self) -> Mapping[str, Any]:
        assert self.taken == self.total
        return {"rows": self.total}


async def test_the_first_bytes_of_a_workbook_are_sent_before_its_rows_are_read() -> None:
    source = Source(b"<row/>\n" * 20_000, 50)
    chunks = workbook(EVENT_COLUMNS, source.rows(), source.about)

    assert (await anext(chunks))[:2] == b"PK"
    assert source.taken == 0
    assert await anext(chunks)
    assert 0 < source.taken < 50
    await chunks.aclose()


async def test_the_first_row_group_of_parquet_is_sent_before_the_last_rows_are_read() -> None:
    source = Source(b"some text\n" * 100_000, 20)
    chunks = parquet([Column("t", Kind.TEXT)], source.rows(), {})

    assert (await anext(chunks))[:4] == b"PAR1"
    assert source.taken < 10
    await chunks.aclose()


async def test_the_memory_of_a_workbook_does_not_depend_on_its_size() -> None:
    """64 MiB of rows are written with less than 4 MiB of memory."""
    source = Source(b"<row><c><v>1</v></c></row>\n" * 38_837, 64)
    tracemalloc.start()
    size = 0
    async for chunk in workbook(EVENT_COLUMNS, source.rows(), source.about):
        size += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size > 100_000
    assert peak < 4 * 2**20


async def test_parquet_distinguishes_empty_text_from_none_and_keeps_line_breaks() -> None:
    pq: Any = import_module("pyarrow.parquet")
    source = Source(b',""\n1,"two\nlines, ""quoted"""\n', 1)
    columns = [Column("n", Kind.INTEGER), Column("t", Kind.TEXT)]
    made = b"".join([chunk async for chunk in parquet(columns, source.rows(), {"a": 1})])
    table = pq.read_table(io.BytesIO(made))

    assert table.to_pylist() == [{"n": None, "t": ""}, {"n": 1, "t": 'two\nlines, "quoted"'}]
    assert table.schema.metadata[b"faregate"] == b'{"a":1}'


@pytest.mark.parametrize("limit", [1, 20, 60, 0xFFFF_FFFF])
def test_an_archive_beyond_the_limits_of_zip_is_read_back(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Members of more than 4 GiB, or that begin beyond it, are in ZIP64 form; so is the directory."""
    monkeypatch.setattr("faregate.analytics.exports.zipping._LIMIT", limit)
    stream = ZipStream()
    made = stream.member("a", b"first" * 10) + stream.begin("b") + stream.add(b"sec") + stream.add(b"ond")
    made += stream.end() + stream.member("c", b"") + stream.finish()
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a": b"first" * 10,
            "b": b"second",
            "c": b"",
        }
