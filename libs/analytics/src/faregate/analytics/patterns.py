"""How usage moves: statistics of a meter, trends, peaks, the hours of the day, and what features return."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, cast
from zoneinfo import ZoneInfo

from faregate.analytics.calendar import Unit, periods_of
from faregate.analytics.filters import Question
from faregate.analytics.raw_repository import RawRepository
from faregate.analytics.service import AnalyticsService
from faregate.analytics.values import Measures, Point
from faregate.core.database import Database

__all__ = ["Amount", "FeatureReturn", "HourOfDay", "Patterns", "Stats", "Trend", "amount_of", "counted_as"]

Amount = Literal["requests", "credits", "tokens", "cost", "quantity"]
_MEASURES = {"requests", "credits", "tokens", "cost"}


@dataclass(frozen=True, slots=True)
class Stats:
    """Statistics over single events, exact. Median and percentiles are values that occurred (the nearest rank)."""

    count: int
    total: Decimal
    average: Decimal | None
    least: Decimal | None
    median: Decimal | None
    p95: Decimal | None
    p99: Decimal | None
    most: Decimal | None


@dataclass(frozen=True, slots=True)
class Trend:
    """One period beside the one before and the one a week before; a change is a fraction, None where there was nothing."""

    period: datetime
    amount: Decimal
    change: Decimal | None
    week_change: Decimal | None


@dataclass(frozen=True, slots=True)
class HourOfDay:
    """What happened in one hour of the day, over all days."""

    hour: int
    measures: Measures


@dataclass(frozen=True, slots=True)
class FeatureReturn:
    """What a feature brought: charged credits less provider cost at the price of a credit."""

    feature: str | None
    measures: Measures
    margin_credits: Decimal
    return_rate: Decimal | None


class Patterns:
    """Reads series and breakdowns, and says what is in them."""

    def __init__(
        self, analytics: AnalyticsService, raw: RawRepository, database: Database, *, credit_price_usd: Decimal
    ) -> None:
        self._analytics = analytics
        self._raw = raw
        self._database = database
        self._credit_price_usd = credit_price_usd

    async def stats(self, question: Question, *, amount: Amount = "quantity") -> Stats:
        """Return the statistics of what single events counted; a meter's quantities if the question names one."""
        async with self._database.transaction(read_only=True) as session:
            row = await self._raw.statistics(session, question, amount)
        average = round(row.average, 6) if row.average is not None else None
        median, p95, p99 = row.ranks or (None, None, None)
        return Stats(row.count, row.total, average, row.least, median, p95, p99, row.most)

    async def meter_value(self, question: Question, meter: str, aggregation: str = "sum") -> Decimal:
        """Return the value of a meter in the range: its `sum`, `count`, `max`, `unique` users or `latest` quantity."""
        asked = replace(question, filters=replace(question.filters, meter=meter))
        async with self._database.transaction(read_only=True) as session:
            return await self._raw.meter_value(session, asked, aggregation)

    async def trends(self, question: Question, *, amount: Amount = "requests") -> Sequence[Trend]:
        """Return each day that the range touches, as a whole, beside the day before and the same weekday before."""
        first = periods_of(question.range, "day")[0]
        earlier = replace(question, range=replace(question.range, start=question.range.start - timedelta(days=8)))
        points = await self._analytics.series(earlier, "day")
        amounts = [amount_of(point.measures, amount) for point in points]
        return [
            Trend(point.period, amounts[n], _change(amounts, n, 1), _change(amounts, n, 7))
            for n, point in enumerate(points)
            if point.period >= first
        ]

    async def peaks(
        self, question: Question, *, unit: Unit = "hour", amount: Amount = "requests", limit: int = 10
    ) -> Sequence[Point]:
        """Return the periods with the most, the highest first; empty ones are no peaks."""
        points = [p for p in await self._analytics.series(question, unit) if amount_of(p.measures, amount) > 0]
        return sorted(points, key=lambda point: (-amount_of(point.measures, amount), point.period))[:limit]

    async def hours_of_day(self, question: Question) -> Sequence[HourOfDay]:
        """Return all 24 hours of the day in the question's time zone."""
        zone = ZoneInfo(question.range.timezone)
        hours = [Measures() for _ in range(24)]
        for point in await self._analytics.series(question, "hour"):
            hour = point.period.astimezone(zone).hour
            hours[hour] = hours[hour] + point.measures
        return [HourOfDay(hour, measures) for hour, measures in enumerate(hours)]

    async def profitability(self, question: Question) -> Sequence[FeatureReturn]:
        """Return each feature's margin, the highest first, and what it returned on its cost."""
        parts = await self._analytics.breakdown(question, "feature")
        found = [self._return(part.value, part.measures) for part in parts]
        return sorted(found, key=lambda item: item.margin_credits, reverse=True)

    def _return(self, feature: str | None, measures: Measures) -> FeatureReturn:
        margin, cost = measures.margin_credits(self._credit_price_usd), measures.cost_usd / self._credit_price_usd
        return FeatureReturn(feature, measures, margin, (margin / cost).quantize(Decimal("0.0001")) if cost else None)


def counted_as(name: str, question: Question) -> tuple[Question, Amount]:
    """Return what to ask about `name`: `requests`, `tokens`, `credits`, `cost`, or the quantities of a meter of that name."""
    if name in _MEASURES:
        return question, cast("Amount", name)
    return replace(question, filters=replace(question.filters, meter=name)), "quantity"


def amount_of(measures: Measures, amount: Amount) -> Decimal:
    """Return one of the sums, in its unit: credits in credits, cost in USD."""
    return {
        "requests": Decimal(measures.requests),
        "credits": measures.total_credits,
        "tokens": Decimal(measures.tokens),
        "cost": measures.cost_usd,
        "quantity": measures.quantity,
    }[amount]


def _change(amounts: Sequence[Decimal], at: int, back: int) -> Decimal | None:
    before = amounts[at - back] if at >= back else Decimal(0)
    return ((amounts[at] - before) / before).quantize(Decimal("0.0001")) if before else None
