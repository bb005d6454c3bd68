"""The columnar copy: every answer equals the one from the table of facts, to the last digit, whatever happened in between."""

import asyncio
import os
import signal
import subprocess
import sys
from bisect import bisect_right
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count as count_from
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest
from analytics.conftest import Lab, lab_of
from analytics.test_archiving import made
from analytics.test_interleavings import BY, FILTERS, RANGES, TABLES, Life
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from faregate.analytics.columnar import copier
from faregate.analytics.columnar.columns import COLUMNS, TOTALS_NAMES, USERS_NAMES, fact_bytes
from faregate.analytics.columnar.copier import ColumnarCopier, CopyLimits
from faregate.analytics.columnar.dialect import DUCKDB as DUCKDB_SQL
from faregate.analytics.columnar.duckdb_setup import open_duckdb
from faregate.analytics.columnar.engine import DuckDbEngine
from faregate.analytics.columnar.facts_sql import file_facts_sql
from faregate.analytics.columnar.folder_place import FolderPlace
from faregate.analytics.columnar.interfaces import Selected
from faregate.analytics.columnar.merging import due_for_merge
from faregate.analytics.columnar.period_sql import period_position
from faregate.analytics.columnar.repository import ColumnarRepository
from faregate.analytics.columnar.source import ColumnarSource
from faregate.analytics.columnar.values import CopiedFile, micros
from faregate.analytics.question.calendar import periods_of
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.core.personal_columns import NAME
from faregate.core.settings import load_settings
from faregate.usage.personal_columns import USAGE_COLUMNS

SEEDS = count_from(1)
DUCKDB = duckdb.connect(":memory:")
STEPS = ("insert", "insert", "insert", "late", "void", "replace", "begin", "end", "copy", "copy", "lose", "merge")
EVERY = CopyLimits(fewest_facts=1, rows_bytes=2000, kept_seconds=0)


@dataclass
class Columns:
    """A lab with a folder for the copy."""

    lab: Lab
    folder: Path
    answered: list[str] = field(default_factory=list)

    @property
    def copier(self) -> ColumnarCopier:
        registry = self.lab.analytics.columnar.container.registry()
        return ColumnarCopier(self.lab.database, registry, FolderPlace(self.folder), EVERY)

    @property
    def facts(self) -> ColumnarRepository:
        facts = self.lab.analytics.columnar.container.facts()
        assert isinstance(facts, ColumnarRepository)
        return facts

    @property
    def engine(self) -> DuckDbEngine:
        engine = self.facts._source._engine
        assert isinstance(engine, DuckDbEngine)
        return engine

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
async def columns(database_url: str, tmp_path: Path) -> AsyncIterator[Columns]:
    folder = tmp_path / "columnar"
    async with lab_of(load_settings(database_url=database_url, columnar_dir=folder)) as lab:
        yield Columns(lab, folder)


def note_answers(answered: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Add the SQL of each question that the copy answers to `answered`, and return that."""
    rows = ColumnarSource.rows

    async def noted(self: ColumnarSource, selected: Any, sql: str) -> Any:
        found = await rows(self, selected, sql)
        if found is not None:
            answered.append(sql)
        return found

    monkeypatch.setattr(ColumnarSource, "rows", noted)
    return answered


@pytest.fixture
def answered(columns: Columns, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of all questions that the copy has answered."""
    return note_answers(columns.answered, monkeypatch)


class CopiedLife(Life):
    """A life in which facts are copied, files are lost and merged."""

    def __init__(self, columns: Columns, seed: int) -> None:
        super().__init__(columns.lab, seed)
        self.columns = columns

    async def copy(self) -> None:
        await self.columns.copier.run()

    async def lose(self) -> None:
        """A file disappears, or is cut short."""
        if self.columns.files and self.random.random() < 0.5:
            path = self.random.choice(self.columns.files)
            if self.random.random() < 0.5:
                path.unlink()
            else:
                path.write_bytes(path.read_bytes()[:-7])

    async def merge(self) -> None:
        """Files are merged as if there were more of them."""
        for _ in range(6):
            await self.insert()
            await self.copy()


async def check(columns: Columns, questions: list[Question]) -> None:
    facts, raw = columns.facts, columns.lab.analytics.raw()
    async with columns.lab.database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
        for question in questions:
            for by in BY:
                assert await facts.measures(session, question, by) == await raw.measures(session, question, by)
            for unit in ("hour", "day", "week", "month"):
                assert await facts.series(session, question, unit) == await raw.series(session, question, unit)
                assert await facts.points(session, question, unit) == await raw.points(session, question, unit)
                by = ("model", "provider")
                one = await facts.series_by(session, question, by, unit)
                assert one == await raw.series_by(session, question, by, unit)
            for order in ("credits", "requests", "input_tokens + output_tokens", "cost"):
                assert await facts.users(session, question, order, 3) == await raw.users(session, question, order, 3)
            assert await facts.overview(session, question) == await raw.overview(session, question)
            assert await facts.latencies(session, question) == await raw.latencies(session, question)
            for period in (None, "day", "hour", "week"):
                assert await facts.active(session, question, period) == await raw.active(session, question, period)
                counts = await facts.active_counts(session, question, period)
                assert {k: n for k, n in counts.items() if n} == await raw.active_counts(session, question, period)


_LONG = settings.get_current_profile_name() == "long"


@settings(
    max_examples=40 if _LONG else 2,
    deadline=None,
    derandomize=not _LONG,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.sampled_from(STEPS), min_size=8, max_size=20), st.integers(0, 2**32))
async def test_every_answer_of_the_copy_equals_that_of_the_table(
    columns: Columns, answered: list[str], steps: list[str], seed: int
) -> None:
    """For any interleaving of inserts, resends, late events, corrections, open host transactions, copies and lost files."""
    async with columns.lab.database.transaction() as session:
        for table in (*TABLES.split(", "), "columnar_month", "columnar_file"):
            await columns.lab.database.rows(session, f"truncate faregate.{table}")
        await columns.lab.database.rows(session, "update faregate.columnar_state set from_tx = 0, open_txs = '{}'")
    life = CopiedLife(columns, seed)
    try:
        for number, name in enumerate(steps):
            await life.step(name)
            if number % 5 == 4:
                await check(
                    columns, [Question(life.random.choice(RANGES), life.random.choice(FILTERS)) for _ in range(2)]
                )
    finally:
        while life.open:
            await life.end()
    await life.insert()
    await life.copy()
    answered.clear()
    await check(columns, [Question(life.random.choice(RANGES), wanted) for wanted in FILTERS])
    assert len(answered) > 100


WEEK = TimeRange(RANGES[0].start, datetime.now(UTC) + timedelta(days=2))
ALL = Question(WEEK)


async def same(columns: Columns, *questions: Question) -> None:
    """Check a few answers of the copy against the table."""
    facts, raw = columns.facts, columns.lab.analytics.raw()
    async with columns.lab.database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
        for question in questions or (ALL,):
            assert await facts.overview(session, question) == await raw.overview(session, question)
            assert await facts.users(session, question, "credits", 5) == await raw.users(
                session, question, "credits", 5
            )


async def fill(columns: Columns, count: int = 20, **more: Any) -> None:
    life = Life(columns.lab, next(SEEDS))
    await columns.lab.recorder.record([{**event, **more} for event in life.events(count)])


def killed(place: str, database_url: str, at: str) -> None:
    """Run a copy to a place in a process that is killed, for instance when a file is `begun`, `written` or `registered`."""
    script = Path(__file__).parent / "killed_copy.py"
    environment = {**os.environ, "PYTHONPATH": str(script.parent.parent)}
    done = subprocess.run(
        [sys.executable, str(script), database_url, place, at],
        check=False,
        capture_output=True,
        timeout=60,
        env=environment,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]


@pytest.mark.parametrize("at", ["begun", "written", "published", "registered", "merged"])
async def test_a_killed_run_leaves_nothing_that_is_read_and_the_next_one_copies_each_fact_once(
    columns: Columns, answered: list[str], database_url: str, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    await fill(columns)
    await columns.copier.run()
    with monkeypatch.context() as patch:
        patch.setattr(copier, "due_for_merge", lambda _files: ())
        for _ in range(11):  # of one month or, at the beginning of one, of two
            await fill(columns, 3)
            await columns.copier.run() if at == "merged" else None
    before = set(columns.files)
    killed(str(columns.folder), database_url, at)
    await same(columns)

    await columns.copier.run()
    answered.clear()
    await same(columns)
    assert answered
    assert all(path.suffix == ".parquet" for path in columns.files)
    assert set(columns.files) != before
    assert await registered(columns) == {path.stem for path in columns.files}


async def registered(columns: Columns) -> set[str]:
    """Return the names of the files that the database knows."""
    async with columns.lab.database.transaction() as session:
        rows = await columns.lab.database.rows(session, "select file_id from faregate.columnar_file")
    return {UUID(str(row.file_id)).hex for row in rows}


async def test_concurrent_runs_copy_each_fact_once(columns: Columns, answered: list[str]) -> None:
    for _ in range(4):
        await fill(columns, 30)
        await asyncio.gather(*(columns.copier.run() for _ in range(4)))
    await columns.copier.run()
    await same(columns, *(Question(WEEK, wanted) for wanted in FILTERS))
    assert answered


async def test_an_erased_person_is_not_in_the_files(columns: Columns) -> None:
    """Files hold subject numbers and names of services, never an id, an address, a use, a tag or metadata."""
    secret = "marie.curie@example.org"
    words = {"tags": [secret], "metadata": {"note": secret}, "id": secret, "usage_key": f"use-of-{secret}"}
    await columns.lab.recorder.record(
        [{"user_id": secret, "service": "chat", "kind": "request", "source": "s", **words}]
    )
    await fill(columns)
    await columns.copier.run()
    assert columns.files

    text = [str(row) for path in columns.files for row in DUCKDB.execute(f"from read_parquet('{path}')").fetchall()]
    assert any("chat" in row for row in text)
    assert not [row for row in text if "curie" in row]
    assert not [path for path in columns.files if b"curie" in path.read_bytes()]
    texts = {column.name for column in COLUMNS if column.type == "VARCHAR"}
    assert {USAGE_COLUMNS[f"usage_event.{name}"] for name in texts} == {NAME}


async def test_files_and_their_folder_are_for_their_owner_only(columns: Columns) -> None:
    await fill(columns)
    await columns.copier.run()
    assert {path.stat().st_mode & 0o777 for path in columns.files} == {0o600}
    assert {path.parent.stat().st_mode & 0o777 for path in columns.files} == {0o700}


async def test_an_archived_month_leaves_the_files_and_is_copied_again_when_restored(
    columns: Columns, answered: list[str], tmp_path: Path
) -> None:
    archive = made(columns.lab, tmp_path / "archive")
    await fill(columns, 60)
    await columns.copier.run()
    before = columns.files
    manifests = await archive.archive()
    await same(columns)
    for _ in range(2):  # the first run leaves them to readers of older snapshots
        await columns.copier.run()
    assert before
    assert columns.files == []

    for manifest in manifests:
        await archive.restore(manifest.month)
    await same(columns)
    await columns.copier.run()
    answered.clear()
    await same(columns)
    assert answered
    assert columns.files


async def test_a_database_restored_from_a_dump_leaves_the_files_of_the_other_one_alone(columns: Columns) -> None:
    await fill(columns)
    await columns.copier.run()
    before = set(columns.files)
    async with columns.lab.database.transaction() as session:
        await columns.lab.database.rows(session, "update faregate.columnar_state set table_oid = table_oid + 1")
    await columns.copier.run()
    assert before < set(columns.files)
    await same(columns)


async def test_a_gateway_without_the_files_answers_from_the_table(
    columns: Columns, answered: list[str], database_url: str, tmp_path: Path
) -> None:
    await fill(columns)
    await columns.copier.run()
    async with lab_of(load_settings(database_url=database_url, columnar_dir=tmp_path / "elsewhere")) as other:
        await same(Columns(other, tmp_path / "elsewhere"))
    assert not answered


async def test_a_damaged_file_is_not_answered_from(columns: Columns, caplog: pytest.LogCaptureFixture) -> None:
    """Of the same size, so that only reading it tells."""
    await fill(columns)
    await columns.copier.run()
    for path in columns.files:
        path.write_bytes(bytes(len(path.read_bytes())))
    await same(columns)


async def test_names_of_any_form_are_copied_as_they_are(columns: Columns, answered: list[str]) -> None:
    names = ['a,"b"', "line\nbreak", "tab\there", "''", "ü ß 漢字 🙂", "\\N", "NULL", "a\r\nb", "x" * 200, "{}", "$1"]
    events = [
        {"id": str(n), "source": "s", "user_id": "u", "service": "chat", "model": name, "provider": name}
        for n, name in enumerate(names)
    ]
    report = await columns.lab.recorder.record(events)
    assert report.accepted == len(names)
    await columns.copier.run()
    facts, raw = columns.facts, columns.lab.analytics.raw()
    async with columns.lab.database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
        for by in (("model", "provider"), ("provider",)):
            assert await facts.measures(session, ALL, by) == await raw.measures(session, ALL, by)
        for name in names:
            wanted = Question(WEEK, Filters(provider=name, model=name))
            assert await facts.measures(session, wanted) == await raw.measures(session, wanted)
    assert answered


async def test_duckdb_reaches_nothing_but_the_folder(columns: Columns, tmp_path: Path) -> None:
    beside = tmp_path / "columnar-beside"
    beside.mkdir()
    (beside / "secret.csv").write_text("secret\n")
    with open_duckdb(columns.folder, memory_mb=64, threads=1) as opened:
        for statement in (
            f"from read_csv('{beside}/secret.csv')",
            f"from read_csv('{columns.folder}/../columnar-beside/secret.csv')",
            f"copy (select 1) to '{beside}/out.csv'",
            "from 'https://example.org/x.parquet'",
            "install httpfs",
            "set enable_external_access = true",
            "set threads = 8",
            f"attach '{beside}/x.db'",
        ):
            with pytest.raises(duckdb.Error):
                opened.execute(statement)


async def test_a_tail_that_is_too_long_is_answered_from_the_table(columns: Columns, answered: list[str]) -> None:
    await fill(columns, 10)
    await columns.copier.run()
    await fill(columns, 12)
    container = columns.lab.analytics.columnar.container
    source = columns.facts._source
    short = ColumnarSource(
        columns.lab.database, container.subjects(), container.registry(), source._engine, tail_facts=10
    )
    async with columns.lab.database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
        assert await short.select(session, ALL) is None
    await same(columns)
    assert answered


async def test_a_question_that_takes_too_long_is_interrupted_and_answered_from_the_table(columns: Columns) -> None:
    await fill(columns)
    await columns.copier.run()
    engine = columns.engine
    engine._timeout_seconds = 0.2
    async with columns.lab.database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
        selected = await columns.facts._source.select(session, ALL)
        assert selected is not None
        endless = "select sum(a.range * b.range % 7) from range(10000000) a, range(10000000) b"
        assert await columns.facts._source.rows(selected, endless) is None
    engine._timeout_seconds = 15
    await same(columns)


async def test_facts_of_earlier_questions_are_kept_and_forgotten(columns: Columns, answered: list[str]) -> None:
    await fill(columns, 40)
    await columns.copier.run()
    questions = [Question(WEEK, wanted) for wanted in FILTERS]
    await same(columns, *questions)
    kept = columns.engine._kept
    assert kept._tables
    columns.facts.forget()
    assert not kept._tables
    await asyncio.gather(*(same(columns, *questions) for _ in range(4)))
    assert answered
    assert not kept._in_use


async def chosen(columns: Columns, question: Question) -> Selected:
    """Return the facts of a question about copied facts."""
    async with columns.lab.database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
        selected = await columns.facts._source.select(session, question)
    assert selected is not None
    return selected


async def test_facts_kept_with_more_columns_serve_questions_that_need_fewer(columns: Columns) -> None:
    await fill(columns, 40)
    await columns.copier.run()
    engine = columns.engine
    selected = await chosen(columns, Question(WEEK, FILTERS[-1]))
    totals = replace(selected, names=TOTALS_NAMES)
    few = await engine.rows(totals, "select count(*) from facts")
    assert await engine.rows(selected, "select count(*) from facts where time_us > 0") == few
    kept = set(engine._kept._tables)
    assert len(kept) == 2
    assert await engine.rows(totals, "select count(*) from facts") == few
    assert await engine.rows(replace(selected, names=USERS_NAMES), "select count(time_us) from facts") == few
    assert set(engine._kept._tables) == kept


async def test_facts_are_kept_as_the_memory_allows_it_and_answers_are_the_same(
    columns: Columns, answered: list[str]
) -> None:
    """With the least memory for totals and users they are kept, but not all columns; with too little for a fact, nothing is."""
    await fill(columns, 40)
    await columns.copier.run()
    question = Question(WEEK, FILTERS[-1])
    kept, selected = columns.engine._kept, await chosen(columns, question)
    ((facts,),) = await columns.engine.rows(selected, "select count(*) from facts")
    assert facts > 1
    for memory, names in ((facts * fact_bytes(USERS_NAMES) * 4, {TOTALS_NAMES, USERS_NAMES}), (1, set[Any]())):
        columns.facts.forget()
        kept._memory_bytes = memory
        await same(columns, question)
        await check(columns, [question])
        assert {place[1] for place in kept._tables} == names
    assert answered


async def test_tables_are_dropped_before_they_take_more_than_their_part(columns: Columns) -> None:
    await fill(columns, 40)
    await columns.copier.run()
    kept = columns.engine._kept
    questions = [Question(WEEK, wanted) for wanted in FILTERS if wanted.given]
    await same(columns, *questions)
    sizes = [size for _, size in kept._tables.values()]
    kept._memory_bytes = max(sizes) * 4
    most = kept._memory_bytes // 2
    assert sum(sizes) > most
    columns.facts.forget()
    for question in questions:
        await same(columns, question)
        taken = [size for _, size in kept._tables.values()]
        assert 0 < sum(taken) <= most


async def test_a_file_is_asked_for_the_time_of_its_facts_only_where_a_question_is_about_a_part_of_it(
    columns: Columns, answered: list[str]
) -> None:
    await fill(columns, 40)
    await columns.copier.run()
    whole = await chosen(columns, ALL)
    assert whole.view.whole == set(whole.view.file_ids)
    assert "time_us >=" not in file_facts_sql(columns.folder, whole, ("sign",))
    async with columns.lab.database.transaction() as session:
        (row,) = await columns.lab.database.rows(
            session, "select min(first_at) as first, max(last_at) as last from faregate.columnar_file"
        )
    just = timedelta(microseconds=1)
    for start, end, is_whole in (
        (row.first, row.last + just, True),
        (row.first + just, row.last + just, False),
        (row.first, row.last, False),
    ):
        question = Question(TimeRange(start, end))
        view = (await chosen(columns, question)).view
        assert (view.whole == set(view.file_ids)) is is_whole
        await check(columns, [question, replace(question, filters=FILTERS[-1])])
    assert answered


@pytest.mark.parametrize(
    ("sizes", "merged"),
    [
        ([], 0),
        ([10] * 5, 0),
        ([10] * 6, 6),
        ([1000] * 3 + [1001] * 3, 0),
        ([7000] * 6 + [10] * 7, 7),
        ([10] * 20, 12),
        ([9_000_000] * 8, 0),
    ],
)
def test_files_of_like_size_are_merged_and_large_ones_left_alone(sizes: list[int], merged: int) -> None:
    at = datetime(2026, 11, 5, tzinfo=UTC)
    files = [
        CopiedFile(UUID(int=n), date(2026, 11, 1), size, 1, at + timedelta(hours=n), at + timedelta(hours=n + 1))
        for n, size in enumerate(sizes)
    ]
    assert len(due_for_merge(files)) == merged
    other = [replace(file, month=date(2026, 11 + n % 2, 1)) for n, file in enumerate(files)]
    assert len({file.month for file in due_for_merge(other)}) <= 1


def test_the_number_of_files_stays_small() -> None:
    """Of ten thousand copies, as many as a quarter-hour each for a hundred days."""
    files: list[CopiedFile] = []
    at = datetime(2026, 11, 5, tzinfo=UTC)
    for n in range(10_000):
        files.append(CopiedFile(UUID(int=n), date(2026, 11, 1), 400, 1, at, at))
        while group := due_for_merge(files):
            files = [file for file in files if file not in group]
            files.append(replace(group[0], facts=sum(file.facts for file in group)))
    assert len(files) < 40
    assert sum(file.facts for file in files) == 4_000_000


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]
    ),
    st.sampled_from(["quarter-hour", "hour", "day", "week", "month"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)),
    st.integers(1, 70),
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
)
def test_a_moment_is_in_the_same_period_as_in_the_calendar(
    zone: str, unit: Any, start: datetime, days: int, places: list[float]
) -> None:
    span = TimeRange(start.replace(tzinfo=UTC), start.replace(tzinfo=UTC) + timedelta(days=days), zone)
    periods = periods_of(span, unit)
    moments = [span.start, *periods[1:], *(span.start + (span.end - span.start) * place for place in places)]
    sql = period_position(periods, "t", DUCKDB_SQL)
    times = [micros(moment) for moment in moments]
    found = [row[0] for row in DUCKDB.execute(f"select {sql} from (select unnest({times}) as t)").fetchall()]
    assert found == [bisect_right(periods, moment) - 1 for moment in moments]
