"""Totals, breakdowns, series and rankings of usage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.answers.facts import FactReader
from faregate.analytics.question.calendar import Unit, periods_of
from faregate.analytics.question.filters import Question
from faregate.analytics.rollups.known_meters import KnownMeters
from faregate.analytics.rollups.known_models import KnownModels, united_providers
from faregate.analytics.values import Breakdown, Freshness, Measures, Point, TopUser, UsageMetrics
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["AnalyticsService", "ComparedPeriod", "Dashboard", "TopBy"]

TopBy = Literal["credits", "requests", "tokens", "cost"]
_ORDERS = {"credits": "credits", "requests": "requests", "tokens": "input_tokens + output_tokens", "cost": "cost"}
_PERCENTS = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The data of the first page of a dashboard, from one snapshot."""

    metrics: UsageMetrics
    services: Sequence[Breakdown]
    models: Sequence[Breakdown]
    series: Sequence[Point]
    users: Sequence[TopUser]
    freshness: Freshness


@dataclass(frozen=True, slots=True)
class ComparedPeriod:
    """The usage of a period and the totals of the period before, from one snapshot."""

    metrics: UsageMetrics
    before: UsageMetrics
    series: Sequence[Point]
    breakdowns: Mapping[str, Sequence[Breakdown]]
    users: Sequence[TopUser]


class AnalyticsService:
    """Answers from all committed facts, with one snapshot for each answer. Opens its own read-only transactions.

    Every question about an unknown meter raises `UnknownMeterError`.
    """

    def __init__(
        self, database: Database, facts: FactReader, subjects: Subjects, models: KnownModels, meters: KnownMeters
    ) -> None:
        self._database = database
        self._facts = facts
        self._subjects = subjects
        self._models = models
        self._meters = meters

    async def version(self) -> str | None:
        """Return a text that differs after each change of the facts; None while too many facts are not rolled up."""
        async with self._snapshot() as session:
            return await self._facts.version(session)

    async def metrics(self, question: Question, *, exact: bool = False) -> UsageMetrics:
        """Return the totals; percentiles are at most 1 % off, or `exact` on demand."""
        await self._meters.check(question)
        async with self._snapshot() as session:
            asked = await self._models.resolve(session, question)
            return await self._metrics(session, asked, exact=exact)

    async def breakdown(self, question: Question, by: str, *, limit: int | None = None) -> Sequence[Breakdown]:
        """Return the breakdown by a dimension: `service`, `model`, `provider`, `feature`, `organization`, `country`, `device`
        or `status`; in descending order of credits. Models come with their provider.
        """
        await self._meters.check(question)
        async with self._snapshot() as session:
            asked = await self._models.resolve(session, question)
            return (await self._breakdown(session, asked, by))[:limit]

    async def series(self, question: Question, unit: Unit) -> Sequence[Point]:
        """Return a point for each quarter-hour, hour, day, week (from Monday) or month of the range, including empty ones."""
        await self._meters.check(question)
        async with self._snapshot() as session:
            return await self._series(session, await self._models.resolve(session, question), unit)

    async def top_users(self, question: Question, *, by: TopBy = "credits", limit: int = 10) -> Sequence[TopUser]:
        """Return the users with the most credits, requests, tokens or cost, in descending order."""
        await self._meters.check(question)
        async with self._snapshot() as session:
            return await self._top_users(session, await self._models.resolve(session, question), by, limit)

    async def dashboard(self, question: Question, *, unit: Unit = "day", users: int = 10) -> Dashboard:
        """Return metrics, services, models, series and top users from one snapshot."""
        await self._meters.check(question)
        async with self._snapshot() as session:
            asked = await self._models.resolve(session, question)
            return Dashboard(
                await self._metrics(session, asked, exact=False),
                await self._breakdown(session, asked, "service"),
                await self._breakdown(session, asked, "model"),
                await self._series(session, asked, unit),
                await self._top_users(session, asked, "credits", users),
                await self._facts.freshness(session),
            )

    async def compared(
        self, question: Question, before: Question, *, unit: Unit, by: Sequence[str], users: int
    ) -> ComparedPeriod:
        """Return metrics, series, breakdowns by the dimensions `by` and top users of one question, and the metrics of `before`.

        All from one snapshot, so that the parts add up to the totals.
        """
        await self._meters.check(question)
        async with self._snapshot() as session:
            asked = await self._models.resolve(session, question)
            earlier = await self._models.resolve(session, before)
            return ComparedPeriod(
                await self._metrics(session, asked, exact=False),
                await self._metrics(session, earlier, exact=False),
                await self._series(session, asked, unit),
                {each: await self._breakdown(session, asked, each) for each in by},
                await self._top_users(session, asked, "credits", users) if users else [],
            )

    def _snapshot(self) -> Any:
        return self._database.reading(isolation="REPEATABLE READ")

    async def _metrics(self, session: AsyncSession, question: Question, *, exact: bool) -> UsageMetrics:
        measures, unique, (p50, p95, p99) = await self._facts.overview(session, question, _PERCENTS, exact=exact)
        return UsageMetrics(measures, unique, p50, p95, p99)

    async def _breakdown(self, session: AsyncSession, question: Question, by: str) -> list[Breakdown]:
        dimensions = ("model", "provider") if by == "model" else (by,)
        found = await self._facts.measures(session, question, dimensions)
        if by == "model":
            united = self._models.united(found).items()
            return sorted(
                (Breakdown(model, sums, provider) for (model, provider), sums in united), key=_size, reverse=True
            )
        if by == "provider":
            found = united_providers(found)
        names: Mapping[Any, str] = (
            await self._organizations(session, found) if by == "organization" else dict[Any, str]()
        )
        parts = [Breakdown(names.get(key[0], key[0]), measures) for key, measures in found.items()]
        return sorted(parts, key=_size, reverse=True)

    async def _organizations(self, session: AsyncSession, found: Mapping[Any, Measures]) -> Mapping[Any, str]:
        named = await self._subjects.named(session, [key[0] for key in found if key[0] is not None])
        return {number: subject.external_id.removeprefix(ORGANIZATION_PREFIX) for number, subject in named.items()}

    async def _series(self, session: AsyncSession, question: Question, unit: Unit) -> list[Point]:
        found = await self._facts.points(session, question, unit)
        nothing = (Measures(), 0)
        return [Point(period, *found.get(period, nothing)) for period in periods_of(question.range, unit)]

    async def _top_users(self, session: AsyncSession, question: Question, by: TopBy, limit: int) -> list[TopUser]:
        found = await self._facts.users(session, question, _ORDERS[by], limit)
        named = await self._subjects.named(session, [subject_id for subject_id, _, _ in found])
        return [TopUser(named[n].external_id, named[n].email, measures, at) for n, measures, at in found]


def _size(part: Breakdown) -> tuple[int, int, str]:
    return part.measures.credits, part.measures.requests, part.value or ""
