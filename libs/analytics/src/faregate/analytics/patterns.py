"""How usage moves: statistics of a meter, trends, peaks, the hours of the day, and what features return."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from faregate.analytics.calendar import Unit
from faregate.analytics.filters import Question
from faregate.analytics.raw_repository import RawRepository
from faregate.analytics.service import AnalyticsService
from faregate.analytics.statistics import percentile
from faregate.analytics.values import Measures, Point
from faregate.core.database import Database

__all__ = ["Amount", "FeatureReturn", "HourOfDay", "MeterStats", "Patterns", "Trend", "amount_of"]

Amount = Literal["requests", "credits", "tokens", "cost", "quantity"]


@dataclass(frozen=True, slots=True)
class MeterStats:
    """Statistics of the quantities that events of a meter named, exact."""

    meter: str
    count: int
    sum: Decimal
    average: Decimal | None
    median: Decimal | None
    p95: Decimal | None
    p99: Decimal | None


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

    async def stats(self, question: Question, meter: str) -> MeterStats:
        """Return count, sum, average and percentiles (nearest rank) of a meter's quantities."""
        asked = replace(question, filters=replace(question.filters, meter=meter))
        async with self._database.transaction(read_only=True) as session:
            counts = await self._raw.quantities(session, asked)
        total, number = sum((q * n for q, n in counts.items()), Decimal(0)), sum(counts.values())
        average = (total / number).quantize(Decimal("0.000001")) if number > 0 else None
        median, p95, p99 = (percentile(counts, percent) for percent in (50, 95, 99))
        return MeterStats(meter, number, total, average, median, p95, p99)

    async def meter_value(self, question: Question, meter: str, aggregation: str = "sum") -> Decimal:
        """Return the value of a meter in the range: its `sum`, `count`, `max`, `unique` users or `latest` quantity."""
        asked = replace(question, filters=replace(question.filters, meter=meter))
        async with self._database.transaction(read_only=True) as session:
            return await self._raw.meter_value(session, asked, aggregation)

    async def trends(self, question: Question, *, amount: Amount = "requests") -> Sequence[Trend]:
        """Return each day beside the day before and the same weekday before; the days before the range are looked up."""
        earlier = replace(question, range=replace(question.range, start=question.range.start - timedelta(days=8)))
        points = await self._analytics.series(earlier, "day")
        amounts = [amount_of(point.measures, amount) for point in points]
        return [
            Trend(point.period, amounts[n], _change(amounts, n, 1), _change(amounts, n, 7))
            for n, point in enumerate(points)
            if point.period >= question.range.start
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
