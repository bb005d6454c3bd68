"""The columnar copy: every answer equals the one from the table of facts, to the last digit, whatever happened in between."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from analytics.conftest import Lab, lab_of
from analytics.test_interleavings import BY, FILTERS, RANGES, TABLES, Life
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from faregate.analytics.columnar.copier import ColumnarCopier, CopyLimits
from faregate.analytics.columnar.repository import ColumnarRepository
from faregate.analytics.columnar.source import ColumnarSource
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.core.settings import load_settings

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
        return ColumnarCopier(self.lab.database, registry, self.folder, EVERY)

    @property
    def facts(self) -> ColumnarRepository:
        facts = self.lab.analytics.columnar.container.facts()
        assert isinstance(facts, ColumnarRepository)
        return facts

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
async def columns(database_url: str, tmp_path: Path) -> AsyncIterator[Columns]:
    folder = tmp_path / "columnar"
    async with lab_of(load_settings(database_url=database_url, columnar_dir=folder)) as lab:
        yield Columns(lab, folder)


@pytest.fixture
def answered(columns: Columns, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of all questions that the copy has answered."""
    rows = ColumnarSource.rows

    async def noted(self: ColumnarSource, selected: Any, sql: str) -> Any:
        found = await rows(self, selected, sql)
        if found is not None:
            columns.answered.append(sql)
        return found

    monkeypatch.setattr(ColumnarSource, "rows", noted)
    return columns.answered


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
                await check(columns, [Question(life.random.choice(RANGES), life.random.choice(FILTERS)) for _ in range(2)])
    finally:
        while life.open:
            await life.end()
    await life.insert()
    await life.copy()
    answered.clear()
    await check(columns, [Question(life.random.choice(RANGES), wanted) for wanted in FILTERS])
    assert len(answered) > 100
