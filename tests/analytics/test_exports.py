"""Exports: complete, exact, free of formulas, streamed, and cleaned up when the reader leaves."""

import asyncio
import csv
import io
import tempfile
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.analytics.exports.formats import Format, file_name
from faregate.analytics.exports.guarding import guarded_sql, harmless
from faregate.analytics.exports.service import ExportService
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.wire import exact_json

NOW = SystemClock().now().replace(microsecond=123456)
EVER = TimeRange(NOW - timedelta(days=20), NOW + timedelta(days=1))
FORMULA = '=HYPERLINK("http://x.example","y")'
NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1",
    "plain",
    "a,b",
    'say "x"',
    "two\nlines",
    "ä;ö",
    "",
]


def event(number: int, **changed: Any) -> dict[str, Any]:
    made = {
        "id": f"e{number}",
        "source": "test",
        "user_id": f"u{number % 7}",
        "service": "chat",
        "model": "gpt-4o",
        "input_tokens": number,
        "output_tokens": 2,
        "credits": Decimal("0.100001") * number,
        "cost_usd": Decimal("0.000000000001") * number,
        "latency_ms": 100 + number,
        "status": 200,
        "time": NOW - timedelta(minutes=number),
        "tags": ["a", FORMULA],
        "metadata": {"note": "=1", "exact": Decimal("0.10000000000000000001")},
    }
    return {**made, **changed}


async def read(chunks: AsyncGenerator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@pytest.fixture
def exports(lab: Any) -> ExportService:
    service: ExportService = lab.analytics.exports()
    return service


@pytest.fixture
async def filled(lab: Any) -> list[dict[str, Any]]:
    events = [event(number) for number in range(1, 301)]
    events += [event(400 + n, id=text or None, source=text or None) for n, text in enumerate(NASTY)]
    events.append(event(500, model=None, kind="meter", service="storage", meter="storage", quantity=Decimal("1.5"), credits=None, cost_usd=None, tags=None, metadata=None, organization_id="acme", input_tokens=0, output_tokens=0))  # fmt: skip
    report = await lab.recorder.record(events)
    assert (report.accepted, report.rejected) == (len(events), ())
    return events


async def as_csv(exports: ExportService, **options: Any) -> list[dict[str, str]]:
    question = options.pop("question", Question(EVER))
    text = (await read(exports.events(question, Format.CSV, **options).chunks)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_csv_holds_every_event_with_exact_amounts(exports: ExportService, filled: list[Any]) -> None:
    rows = {row["id"]: row for row in await as_csv(exports)}

    assert len(await as_csv(exports)) == len(filled)
    assert Decimal(rows["e7"]["credits"]) == Decimal("0.700007")
    assert Decimal(rows["e7"]["cost_usd"]) == Decimal("0.000000000007")
    assert datetime.fromisoformat(rows["e7"]["time"]) == NOW - timedelta(minutes=7)
    assert exact_json.loads(rows["e7"]["metadata"])["exact"] == Decimal("0.10000000000000000001")


async def test_csv_has_times_in_iso_8601_and_numbers_without_exponent(exports: ExportService, lab: Any) -> None:
    """`2026-01-31T12:00:00.000001Z`, also for whole seconds; the least amounts keep their digits."""
    await lab.recorder.record(
        [event(1, credits=Decimal("0.000001"), cost_usd=Decimal("0.000000000002"), time=NOW.replace(microsecond=0))]
    )
    (row,) = await as_csv(exports)

    assert row["time"] == f"{NOW:%Y-%m-%dT%H:%M:%S}.000000Z"
    assert (row["credits"], row["cost_usd"]) == ("0.000001", "0.000000000002")


async def test_csv_for_excel_begins_with_a_byte_order_mark_and_is_the_same_otherwise(
    exports: ExportService, filled: list[Any]
) -> None:
    plain, marked = [await read(exports.events(Question(EVER), Format.CSV, bom=bom).chunks) for bom in (False, True)]

    assert marked == b"\xef\xbb\xbf" + plain


@pytest.mark.parametrize("kind", [kind for kind in Format if kind is not Format.CSV])
def test_a_byte_order_mark_is_refused_where_it_would_break_the_file(exports: ExportService, kind: Format) -> None:
    with pytest.raises(InvalidError, match="csv only") as refused:
        exports.events(Question(EVER), kind, bom=True)
    assert refused.value.param == "bom"


async def test_no_csv_cell_is_a_formula_unless_asked_for(exports: ExportService, filled: list[Any]) -> None:
    safe = await as_csv(exports)
    raw = await as_csv(exports, safe=False)
    texts = [value for row in safe for name, value in row.items() if name in {"id", "source", "user_id"}]

    assert [text for text in texts if text[:1] and text[0] in "=+-@\t\r\n\uff1d"] == []
    assert {"'" + text for text in NASTY[:8]} <= {row["source"] for row in safe}
    assert set(NASTY) <= {row["source"] for row in raw}


async def test_all_formats_have_the_same_values(exports: ExportService, filled: list[Any]) -> None:
    pq: Any = import_module("pyarrow.parquet")

    question = Question(EVER)
    lines = (await read(exports.events(question, Format.NDJSON).chunks)).splitlines()
    whole = exact_json.loads(await read(exports.events(question, Format.JSON).chunks))
    table = pq.read_table(io.BytesIO(await read(exports.events(question, Format.PARQUET).chunks)))
    cells = await as_csv(exports, safe=False)

    rows = [exact_json.loads(line) for line in lines]
    assert whole["rows"] == rows
    assert len(rows) == len(cells) == table.num_rows == len(filled)
    assert [row["credits"] for row in rows] == [Decimal(cell["credits"]) for cell in cells]
    assert table.column("credits").to_pylist() == [row["credits"] for row in rows]
    assert table.column("quantity").to_pylist() == [row["quantity"] for row in rows]
    assert [t.isoformat() for t in table.column("time").to_pylist()] == [
        datetime.fromisoformat(row["time"]).isoformat() for row in rows
    ]
    assert [exact_json.loads(text) if text else None for text in table.column("metadata").to_pylist()] == [
        row["metadata"] for row in rows
    ]


async def test_json_has_the_question_and_the_totals(exports: ExportService, filled: list[Any]) -> None:
    question = Question(EVER, Filters(service="chat", user_id="u3", status="success"))
    whole = exact_json.loads(await read(exports.events(question, Format.JSON).chunks))

    assert whole["metadata"]["filters"] == {"service": "chat", "user_id": "u3", "status": "success"}
    assert datetime.fromisoformat(whole["metadata"]["start"]) == EVER.start
    assert whole["summary"]["rows"] == len(whole["rows"]) > 40
    assert whole["summary"]["credits"] == sum(row["credits"] for row in whole["rows"])
    assert {row["user_id"] for row in whole["rows"]} == {"u3"}


@pytest.mark.parametrize("kind", [Format.JSON, Format.NDJSON, Format.CSV, Format.PARQUET, Format.XLSX])
async def test_an_empty_export_is_a_complete_file(exports: ExportService, kind: Format) -> None:
    made = await read(exports.events(Question(EVER), kind).chunks)

    if kind is Format.JSON:
        assert exact_json.loads(made)["rows"] == []
    elif kind is Format.CSV:
        assert made.decode().startswith("time,kind,user_id")
        assert made.count(b"\n") == 1
    else:
        assert (made == b"") == (kind is Format.NDJSON)


async def test_xlsx_holds_text_as_text_and_numbers_as_numbers(
    exports: ExportService, filled: list[Any], tmp_path: Path
) -> None:
    openpyxl: Any = import_module("openpyxl")

    made = await read(exports.events(Question(EVER), Format.XLSX).chunks)
    book = openpyxl.load_workbook(io.BytesIO(made))
    heading, *rows = list(book["rows"].iter_rows())
    names = [cell.value for cell in heading]
    found = {row[names.index("id")].value: dict(zip(names, row, strict=True)) for row in rows}

    assert len(rows) == len(filled)
    assert {cell.data_type for row in rows for cell in row} <= {"s", "n", "d", "inlineStr"}
    assert found["=1+1"]["id"].data_type == "s"
    assert found["e7"]["credits"].value == 0.700007
    assert found["e7"]["time"].value.replace(tzinfo=UTC) - (NOW - timedelta(minutes=7)) < timedelta(milliseconds=1)
    assert dict(row[:2] for row in book["about"].iter_rows(values_only=True))["rows"] == len(filled)


async def test_a_corrected_event_is_exported_in_its_valid_version(lab: Any, exports: ExportService) -> None:
    """Sums of an export equal sums of analytics, also after a void and a replacement."""
    await lab.recorder.record([event(number) for number in range(1, 6)])
    corrections = lab.library.usage.history()
    await corrections.void("test", "e1", reason="a test")
    await corrections.replace("test", "e2", event(2, credits=Decimal(9)), reason="wrong")

    rows = {row["id"]: row for row in await as_csv(exports)}
    metrics = await lab.service.metrics(Question(EVER))
    assert sorted(rows) == ["e2", "e3", "e4", "e5"]
    assert Decimal(rows["e2"]["credits"]) == 9
    assert sum(Decimal(row["credits"]) for row in rows.values()) == metrics.measures.total_credits


async def until_copies(database: Database, number: int) -> None:
    async with asyncio.timeout(20):
        while await active_copies(database) != number:
            await asyncio.sleep(0.05)


async def active_copies(database: Database) -> int:
    async with database.transaction() as session:
        rows = await database.rows(
            session,
            "select count(*) as n from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'",
        )
        return int(rows[0].n)


@pytest.mark.parametrize("kind", list(Format))
async def test_leaving_early_leaves_no_query_or_file(
    lab: Any, exports: ExportService, kind: Format, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No query continues, no temporary file is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    await lab.recorder.record(
        [event(n, metadata={"long": "x" * 500}, time=NOW - timedelta(seconds=n)) for n in range(1, 6001)]
    )
    chunks = exports.events(Question(EVER), kind).chunks
    first = await anext(chunks)
    if kind is Format.XLSX:
        await anext(chunks)  # the first chunk is the head of the workbook; the rows begin with the second
    if kind is not Format.PARQUET:
        assert await active_copies(lab.database) == 1
    await chunks.aclose()

    assert first
    await until_copies(lab.database, 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [Format.XLSX, Format.PARQUET])
async def test_an_export_does_not_block_the_event_loop(lab: Any, exports: ExportService, kind: Format) -> None:
    """Between two turns of the event loop its thread works at most 25 ms, however busy the machine is."""
    import_module("pyarrow.parquet")
    await lab.recorder.record([event(n, time=NOW - timedelta(seconds=n)) for n in range(1, 12_001)])
    turns: list[float] = []

    async def watch() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            turns.append(now - last)
            last = now

    watching = asyncio.create_task(watch())
    made = await read(exports.events(Question(EVER), kind).chunks)
    watching.cancel()

    assert len(made) > 100_000
    assert max(turns) < 0.025


async def test_a_cancelled_export_ends_its_query(lab: Any, exports: ExportService, tmp_path: Path) -> None:
    await lab.recorder.record(
        [event(n, metadata={"long": "x" * 500}, time=NOW - timedelta(seconds=n)) for n in range(1, 6001)]
    )

    async def slow_reader() -> None:
        async for _ in exports.events(Question(EVER), Format.CSV).chunks:
            await asyncio.sleep(60)

    reading = asyncio.create_task(slow_reader())
    await until_copies(lab.database, 1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await until_copies(lab.database, 0)


async def test_more_rows_than_a_sheet_holds_are_refused_before_the_first_byte(
    exports: ExportService, filled: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faregate.analytics.exports.service.XLSX_ROW_LIMIT", 10)
    with pytest.raises(InvalidError, match="csv or parquet"):
        await read(exports.events(Question(EVER), Format.XLSX).chunks)


def test_file_names_have_content_range_and_time_of_creation() -> None:
    start, end = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    made = datetime(2026, 6, 2, 8, 15, tzinfo=UTC)

    assert file_name("events", Format.CSV, start=start, end=end, now=made) == (
        "usage-events_2026-05-01_2026-06-01_20260602T081500Z.csv"
    )


@given(st.text(max_size=20))
def test_a_harmless_cell_is_never_a_formula_and_never_loses_a_character(text: str) -> None:
    made = harmless(text)

    assert made in {text, "'" + text}
    assert not made[:1] or made[0] not in "=+-@\t\r\n\uff0b\uff0d\uff1d\uff20"


async def test_the_guard_in_sql_is_the_guard_in_python(database: Database) -> None:
    texts = [*NASTY, "'quoted", "\uff20x", "\uff0b1", "\uff0d1", " =1", "ß", "1-1"]
    sql = (
        f"select {guarded_sql('t')} as cell from unnest(cast(:texts as text[])) with ordinality as u (t, n) order by n"
    )
    async with database.transaction() as session:
        rows = await database.rows(session, sql, texts=texts)

    assert [row.cell for row in rows] == [harmless(text) for text in texts]
