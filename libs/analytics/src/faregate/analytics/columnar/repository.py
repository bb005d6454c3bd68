"""Repository of raw facts that reads the columnar copy where it can."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.columnar import questions_sql as sql
from faregate.analytics.columnar.columns import ALL_NAMES, TOTALS_NAMES, USERS_NAMES
from faregate.analytics.columnar.period_sql import period_position
from faregate.analytics.columnar.source import ColumnarSource
from faregate.analytics.columnar.values import moment_of
from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.facts.conditions_sql import MEASURES, Rest, about_models
from faregate.analytics.facts.repository import Group, RawRepository, measures_of
from faregate.analytics.question.calendar import Unit, periods_of
from faregate.analytics.question.filters import Question
from faregate.analytics.values import Measures
from faregate.core.db.database import Database

__all__ = ["ColumnarRepository"]

_COPY = "columnar_copy"
"""How metrics call the copy: a hit is an answer of the copy, a miss one of the table."""


class ColumnarRepository(RawRepository):
    """Answers what `RawRepository` answers, with the same results.

    What the copy does not hold in the snapshot of the session, or a `rest` of the sums, is read from the table.
    """

    def __init__(self, database: Database, archived: ArchivedMonths, source: ColumnarSource) -> None:
        super().__init__(database, archived)
        self._source = source

    def forget(self) -> None:
        """Forget the facts of earlier questions, as after a start: for benchmarks."""
        self._source.forget()

    async def measures(
        self, session: AsyncSession, question: Question, by: Sequence[str] = (), rest: Rest | None = None
    ) -> dict[Group, Measures]:
        asked = sql.measures_sql("facts", by, models=about_models(question.filters, *by))
        rows = await self._answer(session, question, asked, rest)
        if rows is None:
            return await super().measures(session, question, by, rest)
        return {tuple(row[: len(by)]): measures_of(row, len(by)) for row in rows}

    async def series(
        self, session: AsyncSession, question: Question, unit: Unit, rest: Rest | None = None
    ) -> dict[datetime, Measures]:
        periods = periods_of(question.range, unit)
        position = self._position(periods)
        asked = sql.series_sql("facts", position, (), models=about_models(question.filters))
        rows = await self._answer(session, question, asked, rest)
        if rows is None:
            return await super().series(session, question, unit, rest)
        return {periods[row[0]]: measures_of(row, 1) for row in rows}

    async def series_by(
        self, session: AsyncSession, question: Question, by: Sequence[str], unit: Unit, rest: Rest | None = None
    ) -> dict[Group, dict[datetime, Measures]]:
        periods = periods_of(question.range, unit)
        position = self._position(periods)
        asked = sql.series_sql("facts", position, by, models=about_models(question.filters, *by))
        rows = await self._answer(session, question, asked, rest)
        if rows is None:
            return await super().series_by(session, question, by, unit, rest)
        found: dict[Group, dict[datetime, Measures]] = {}
        for row in rows:
            found.setdefault(tuple(row[: len(by)]), {})[periods[row[len(by)]]] = measures_of(row, len(by) + 1)
        return found

    async def overview(self, session: AsyncSession, question: Question) -> tuple[Measures, dict[int, int], int]:
        models = about_models(question.filters)
        ask = partial(self._answer, session, question, names=TOTALS_NAMES)
        sums = await ask(sql.measures_sql("facts", (), models=models))
        latencies = sums and await ask(sql.latencies_sql("facts", models=models))
        users = sums and await ask(sql.active_counts_sql("facts", "0"))
        if not sums or latencies is None or users is None:
            return await super().overview(session, question)
        return measures_of(sums[0], 0), {row[0]: int(row[1]) for row in latencies}, sum(int(row[1]) for row in users)

    async def points(
        self, session: AsyncSession, question: Question, unit: Unit
    ) -> dict[datetime, tuple[Measures, int]]:
        periods = periods_of(question.range, unit)
        position = self._position(periods)
        asked = sql.points_sql("facts", position, models=about_models(question.filters))
        rows = await self._answer(session, question, asked)
        if rows is None:
            return await super().points(session, question, unit)
        last = len(MEASURES) + 1
        return {periods[row[0]]: (measures_of(row, 1), int(row[last])) for row in rows}

    async def users(
        self, session: AsyncSession, question: Question, order: str, limit: int
    ) -> list[tuple[int, Measures, datetime]]:
        asked = sql.users_sql("facts", order, limit, models=about_models(question.filters))
        rows = await self._answer(session, question, asked, names=USERS_NAMES)
        if rows is None:
            return await super().users(session, question, order, limit)
        return [(row[0], measures_of(row, 2), moment_of(row[1])) for row in rows]

    async def latencies(self, session: AsyncSession, question: Question, rest: Rest | None = None) -> dict[int, int]:
        asked = sql.latencies_sql("facts", models=about_models(question.filters))
        rows = await self._answer(session, question, asked, rest)
        if rows is None:
            return await super().latencies(session, question, rest)
        return {row[0]: int(row[1]) for row in rows}

    async def active(
        self, session: AsyncSession, question: Question, unit: Unit | None = None, rest: Rest | None = None
    ) -> dict[datetime | None, dict[int, int]]:
        periods: Sequence[datetime] = periods_of(question.range, unit) if unit else ()
        position = self._position(periods) if periods else "0"
        rows = await self._answer(session, question, sql.active_sql("facts", position), rest)
        if rows is None:
            return await super().active(session, question, unit, rest)
        found: dict[datetime | None, dict[int, int]] = {}
        for place, subject_id, facts in rows:
            period: datetime | None = periods[int(place)] if periods else None
            found.setdefault(period, {})[subject_id] = int(facts)
        return found

    async def active_counts(
        self, session: AsyncSession, question: Question, unit: Unit | None = None
    ) -> dict[datetime | None, int]:
        periods: Sequence[datetime] = periods_of(question.range, unit) if unit else ()
        position = self._position(periods) if periods else "0"
        rows = await self._answer(session, question, sql.active_counts_sql("facts", position))
        if rows is None:
            return await super().active_counts(session, question, unit)
        return {periods[int(place)] if periods else None: int(users) for place, users in rows}

    def _position(self, periods: Sequence[datetime]) -> str:
        return period_position(periods, "e.time_us", self._source.dialect)

    async def _answer(
        self,
        session: AsyncSession,
        question: Question,
        asked: str,
        rest: Rest | None = None,
        *,
        names: tuple[str, ...] = ALL_NAMES,
    ) -> Sequence[tuple[Any, ...]] | None:
        """Return the rows of a question from the copy; None if the table has to answer."""
        if rest is not None:
            return None
        selected = await self._source.select(session, question)
        found = await self._source.rows(replace(selected, names=names), asked) if selected is not None else None
        self._database.cache_metrics.count(_COPY, hit=found is not None)
        if found is not None:
            await self._archived.note(session, question, None)
        return found
