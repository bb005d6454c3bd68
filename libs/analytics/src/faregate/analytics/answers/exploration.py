"""Exploration: one amount by a dimension, over time, beside the period before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.answers.facts import FactReader
from faregate.analytics.question.calendar import Unit, periods_of
from faregate.analytics.question.filters import Question, SpelledFilters, TimeRange
from faregate.analytics.question.range_before import range_before, until_now
from faregate.analytics.rollups.known_meters import KnownMeters
from faregate.analytics.rollups.known_models import KnownModels, united_providers
from faregate.analytics.values import Breakdown, Freshness, Measures, UsageMetrics
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["AMOUNTS", "Exploration", "ExploreBy", "Explorer", "Slice"]

ExploreBy = Literal["service", "model", "provider", "feature", "user", "organization", "country", "device", "status"]

AMOUNTS = {
    "credits": "credits",
    "charged": "charged",
    "requests": "requests",
    "tokens": "input_tokens + output_tokens",
    "cost": "cost",
    "errors": "errors",
}
"""The sums that slices are ranked by."""

_FILTER_OF = {"user": "user_id", "organization": "organization_id"}
_CALLS = ("model", "provider")
_COUNTED_BY_CALLS = ("facts", "requests", "errors", "latency_sum", "latency_count", "quantity")
_MANY = ("user", "organization")
_PERCENTS = (50, 95, 99)
_USERS_LIMIT = 100


AllSeries = Mapping[str | None, Sequence[Measures]]
"""The sums of each value by period, in the order of the periods."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One value of the dimension: its sums, its sums by period, and its parts by the second dimension.

    `value` is None for facts without a value, and for all other values together (`is_rest`).
    """

    value: str | None
    measures: Measures
    series: Sequence[Measures] = ()
    parts: Sequence[Breakdown] = ()
    is_rest: bool = False


@dataclass(frozen=True, slots=True)
class Exploration:
    """The answer. `before` are the totals of `range_before`, None if there is no usage in it; `series_before` are its sums by
    period, in the order of `periods`, None unless they were asked for.

    The sums of `slices` and of `rest` are those of `metrics`, except that slices by model and provider count calls of models;
    what was used without a model belongs to `rest`.
    """

    range: TimeRange
    until: datetime
    periods: Sequence[datetime]
    metrics: UsageMetrics
    totals: Sequence[Measures]
    slices: Sequence[Slice]
    rest: Slice | None
    values: int
    range_before: TimeRange
    before: UsageMetrics | None
    series_before: Sequence[Measures] | None
    freshness: Freshness


class Explorer:
    """Answers explorations, each from one snapshot of the database."""

    def __init__(
        self,
        database: Database,
        facts: FactReader,
        subjects: Subjects,
        models: KnownModels,
        meters: KnownMeters,
        clock: IClock,
    ) -> None:
        self._database = database
        self._facts = facts
        self._subjects = subjects
        self._models = models
        self._meters = meters
        self._clock = clock

    async def explore(
        self,
        question: Question,
        by: ExploreBy,
        *,
        unit: Unit,
        amount: str,
        top: int,
        then: ExploreBy | None = None,
        compare: bool = False,
    ) -> Exploration:
        """Return the totals, and the `top` values of `by` with the most of `amount` (a key of `AMOUNTS`), each with a series;
        with `compare` also the series of the period before.

        The period before has the same length of elapsed time: a range that has not ended is compared up to now.
        """
        await self._meters.check(question)
        now = self._clock.now()
        span = question.range
        earlier = range_before(span, now=now)
        async with self._database.reading(isolation="REPEATABLE READ") as session:
            asked = await self._models.resolve(session, question)
            periods = periods_of(span, unit)
            totals = await self._series(session, asked, unit, periods)
            ranked = await self._ranked(session, asked, by, amount)
            series = await self._all_series(session, asked, by, unit, periods)
            slices = [
                await self._slice(session, asked, (by, then), found, unit, periods, series)
                for found in [part for part in ranked if part.value is not None][:top]
            ]
            return Exploration(
                range=span,
                until=until_now(span, now=now),
                periods=periods,
                metrics=await self._metrics(session, asked),
                totals=totals,
                slices=slices,
                rest=_rest(by, ranked, slices, totals, series),
                values=len(ranked),
                range_before=earlier,
                before=await self._before(session, asked, earlier),
                series_before=await self._series_before(session, asked, earlier, unit, len(periods))
                if compare
                else None,
                freshness=await self._facts.freshness(session),
            )

    async def _metrics(self, session: AsyncSession, question: Question) -> UsageMetrics:
        measures, unique, (p50, p95, p99) = await self._facts.overview(session, question, _PERCENTS)
        return UsageMetrics(measures, unique, p50, p95, p99)

    async def _before(self, session: AsyncSession, question: Question, earlier: TimeRange) -> UsageMetrics | None:
        found = await self._metrics(session, replace(question, range=earlier))
        return None if found.measures.empty else found

    async def _series_before(
        self, session: AsyncSession, question: Question, earlier: TimeRange, unit: Unit, most: int
    ) -> list[Measures]:
        periods = periods_of(earlier, unit)
        return (await self._series(session, replace(question, range=earlier), unit, periods))[:most]

    async def _ranked(self, session: AsyncSession, question: Question, by: ExploreBy, amount: str) -> list[Breakdown]:
        """Return the values of the dimension in descending order of the amount; of users at most 100."""
        if by == "user":
            found = await self._facts.users(session, question, AMOUNTS[amount], _USERS_LIMIT)
            named = await self._subjects.named(session, [number for number, _, _ in found])
            return [Breakdown(named[number].external_id, sums) for number, sums, _ in found]
        parts = await self._parts(session, question, by)
        return sorted(parts, key=lambda part: _rank(part, amount))

    async def _parts(self, session: AsyncSession, question: Question, by: ExploreBy) -> list[Breakdown]:
        if by == "user":
            return await self._ranked(session, question, by, "credits")
        found = await self._facts.measures(session, question, ("model", "provider") if by == "model" else (by,))
        if by == "model":
            sums: dict[Any, Measures] = {}
            for (model, _), measures in self._models.united(found).items():
                sums[model] = sums.get(model, Measures()) + measures
            return [Breakdown(model, measures) for model, measures in sums.items()]
        named = united_providers(found) if by == "provider" else found
        names: Mapping[Any, str] = await self._organizations(session, found) if by == "organization" else {}
        return [Breakdown(names.get(key[0], key[0]), measures) for key, measures in named.items()]

    async def _organizations(self, session: AsyncSession, found: Mapping[Any, Measures]) -> Mapping[Any, str]:
        named = await self._subjects.named(session, [key[0] for key in found if key[0] is not None])
        return {number: subject.external_id.removeprefix(ORGANIZATION_PREFIX) for number, subject in named.items()}

    async def _slice(
        self,
        session: AsyncSession,
        question: Question,
        dimensions: tuple[ExploreBy, ExploreBy | None],
        found: Breakdown,
        unit: Unit,
        periods: Sequence[datetime],
        known: AllSeries,
    ) -> Slice:
        by, then = dimensions
        narrowed = await self._narrowed(session, question, by, str(found.value))
        parts = await self._parts(session, narrowed, then) if then is not None else []
        if then == "model":
            parts = [*parts, *_without_model(found, parts)]
        series = known.get(found.value) or await self._series(session, narrowed, unit, periods)
        return Slice(found.value, found.measures, series, sorted(parts, key=lambda part: _rank(part, "credits")))

    async def _all_series(
        self, session: AsyncSession, question: Question, by: ExploreBy, unit: Unit, periods: Sequence[datetime]
    ) -> AllSeries:
        """Return the series of every value in one query; none by users and organisations, which may be many."""
        if by in _MANY:
            return {}
        found = await self._facts.series_by(session, question, ("model", "provider") if by == "model" else (by,), unit)
        sums: dict[str | None, dict[datetime, Measures]] = {}
        for key, points in found.items():
            own = sums.setdefault(self._named(by, key), {})
            for period, measures in points.items():
                own[period] = own.get(period, Measures()) + measures
        return {name: [points.get(period, Measures()) for period in periods] for name, points in sums.items()}

    def _named(self, by: ExploreBy, key: tuple[Any, ...]) -> str | None:
        """Return the value that stands for all spellings of a model or provider."""
        named: Mapping[Any, Measures] = {key: Measures()}
        if by == "model":
            named = self._models.united(named)
        elif by == "provider":
            named = united_providers(named)
        (found,) = named
        value: str | None = found[0]
        return value

    async def _narrowed(self, session: AsyncSession, question: Question, by: ExploreBy, value: str) -> Question:
        given: dict[str, Any] = {**question.filters.given, _FILTER_OF.get(by, by): value}
        return await self._models.resolve(session, replace(question, filters=SpelledFilters(**given)))

    async def _series(
        self, session: AsyncSession, question: Question, unit: Unit, periods: Sequence[datetime]
    ) -> list[Measures]:
        found = await self._facts.series(session, question, unit)
        return [found.get(period, Measures()) for period in periods]


def _rest(
    by: ExploreBy,
    ranked: Sequence[Breakdown],
    slices: Sequence[Slice],
    totals: Sequence[Measures],
    known: AllSeries,
) -> Slice | None:
    """Return all other values and what has no value together; None if there is nothing."""
    series = [total - _sum(each.series[place] for each in slices) for place, total in enumerate(totals)]
    if by in _CALLS:
        shown = {each.value for each in slices}
        others = [known[part.value] for part in ranked if part.value not in shown and part.value in known]
        calls = [_sum(each[place] for each in others) for place in range(len(totals))]
        series = [_counting(left, own) for left, own in zip(series, calls, strict=True)]
    left = _sum(series)
    return None if left == Measures() else Slice(None, left, series, is_rest=True)


def _without_model(found: Breakdown, parts: Sequence[Breakdown]) -> Sequence[Breakdown]:
    """Return the part of a slice that no model has, such as fixed prices; it has no calls."""
    left = _counting(found.measures - _sum(part.measures for part in parts), Measures())
    return [] if left == Measures() else [Breakdown(None, left)]


def _counting(sums: Measures, calls: Measures) -> Measures:
    """Return `sums` with the counts of `calls`: slices by model and provider count calls, totals count uses."""
    return replace(sums, **{name: getattr(calls, name) for name in _COUNTED_BY_CALLS})


def _rank(part: Breakdown, amount: str) -> tuple[int, str]:
    sums = part.measures
    found = sums.tokens if amount == "tokens" else getattr(sums, AMOUNTS[amount])
    return -found, part.value or ""


def _sum(found: Any) -> Measures:
    return sum(found, Measures())
