"""Statistics, trends, peaks, distributions and returns of usage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from faregate.analytics.answers.service import AnalyticsService
from faregate.analytics.answers.terms import Amount, Dimension
from faregate.analytics.facts.repository import RawRepository
from faregate.analytics.question.calendar import Unit, periods_of
from faregate.analytics.question.filters import Question
from faregate.analytics.rollups.known_meters import KnownMeters
from faregate.analytics.rollups.known_models import KnownModels
from faregate.analytics.values import Measures, Point
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.core.values.time_zones import time_zone
from faregate.usage.meters.catalog import MeterCatalog
from faregate.usage.meters.meter import Aggregation, Meter

__all__ = [
    "Amount",
    "Dimension",
    "FeatureReturn",
    "HourOfDay",
    "Part",
    "Patterns",
    "Peak",
    "Stats",
    "Trend",
    "amount_of",
    "counted_as",
]

_MEASURES = {"requests", "credits", "tokens", "cost"}
_ALL = "all"


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
    """One period compared with the one before and the one a week before; a change is a fraction, or None if that was 0."""

    period: datetime
    amount: Decimal
    change: Decimal | None
    week_change: Decimal | None


@dataclass(frozen=True, slots=True)
class Peak:
    """A period, its requested amount, and its other measures."""

    amount: Decimal
    point: Point


@dataclass(frozen=True, slots=True)
class Part:
    """The measures of one value of a dimension; `value` is None for facts without one.

    Attributes:
        quantity: of one meter, in its unit; None for several meters, whose units differ, and for a meter that is not added
            up (one that is read as its highest or latest quantity, or as its users).
    """

    value: str | int | None
    measures: Measures
    quantity: Decimal | None


@dataclass(frozen=True, slots=True)
class HourOfDay:
    """The measures of one hour of the day, over all days."""

    hour: int
    measures: Measures


@dataclass(frozen=True, slots=True)
class FeatureReturn:
    """The return of a feature: charged credits less provider cost, converted at the price of a credit."""

    feature: str | None
    measures: Measures
    margin_credits: Decimal
    return_rate: Decimal | None


class Patterns:
    """Computes statistics and patterns from series and breakdowns."""

    def __init__(
        self,
        analytics: AnalyticsService,
        raw: RawRepository,
        database: Database,
        meters: MeterCatalog,
        known: KnownMeters,
        models: KnownModels,
        *,
        credit_price_usd: Decimal,
    ) -> None:
        self._analytics = analytics
        self._raw = raw
        self._database = database
        self._meters = meters
        self._known = known
        self._models = models
        self._credit_price_usd = credit_price_usd

    async def stats(self, question: Question, *, amount: Amount = "quantity") -> Stats:
        """Return statistics of the amounts of single events: of the quantities of a meter, or of their number alone.

        Raises:
            UnknownMeterError: the question names an unknown meter.
            InvalidError: quantities are requested without a meter; they have different units.
        """
        await self._check(question, amount)
        async with self._database.reading() as session:
            row = await self._raw.statistics(session, await self._models.resolve(session, question), amount)
        average = round(row.average, 6) if row.average is not None else None
        median, p95, p99 = row.ranks or (None, None, None)
        return Stats(row.count, row.total, average, row.least, median, p95, p99, row.most)

    async def meter_value(self, question: Question, meter: str, aggregation: Aggregation = "sum") -> Decimal:
        """Return the value of a meter in the range: its `sum`, `count`, `max`, `unique` users or `latest` quantity."""
        asked = replace(question, filters=replace(question.filters, meter=meter))
        async with self._database.reading() as session:
            return await self._raw.meter_value(session, await self._models.resolve(session, asked), aggregation)

    async def trends(self, question: Question, *, amount: Amount = "requests") -> Sequence[Trend]:
        """Return each day that the range touches, as a whole day, compared with the day before and the same weekday before.

        A meter is read by its declaration: e.g. the highest quantity of each day, its users, or the last one. Raises as `stats`.
        """
        await self._check(question, amount)
        first = periods_of(question.range, "day")[0]
        earlier = replace(question, range=replace(question.range, start=question.range.start - timedelta(days=8)))
        found = await self._amounts(earlier, "day", amount)
        amounts = [each for each, _ in found]
        return [
            Trend(point.period, amounts[n], _change(amounts, n, 1), _change(amounts, n, 7))
            for n, (_, point) in enumerate(found)
            if point.period >= first
        ]

    async def peaks(
        self, question: Question, *, unit: Unit = "hour", amount: Amount = "requests", limit: int = 10
    ) -> Sequence[Peak]:
        """Return the periods with the highest amounts, the highest first; empty ones are left out. Meters as in `trends`."""
        await self._check(question, amount)
        found = [Peak(each, point) for each, point in await self._amounts(question, unit, amount) if each > 0]
        return sorted(found, key=lambda peak: (-peak.amount, peak.point.period))[:limit]

    async def amounts(self, question: Question, *, unit: Unit, amount: Amount = "quantity") -> Sequence[Peak]:
        """Return each period of the range in order, including empty ones, with its amount. Meters as in `trends`."""
        await self._check(question, amount)
        return [Peak(each, point) for each, point in await self._amounts(question, unit, amount)]

    async def distribution(self, question: Question, by: Dimension) -> Sequence[Part]:
        """Return the sums of each value of a dimension, or of each hour of the day in the question's time zone.

        Raises:
            UnknownMeterError: the question names an unknown meter.
        """
        found: list[tuple[str | int | None, Measures]]
        if by == "hour":
            found = [(item.hour, item.measures) for item in await self.hours_of_day(question)]
        else:
            found = [(part.value, part.measures) for part in await self._analytics.breakdown(question, by)]
        declared, meter = await self._meters.all(), question.filters.meter
        return [
            Part(value, sums, _added_up(declared, value if by == "meter" else meter, sums)) for value, sums in found
        ]

    async def hours_of_day(self, question: Question) -> Sequence[HourOfDay]:
        """Return all 24 hours of the day in the question's time zone."""
        zone = time_zone(question.range.timezone)
        hours = [Measures() for _ in range(24)]
        for point in await self._analytics.series(question, "hour"):
            hour = point.period.astimezone(zone).hour
            hours[hour] = hours[hour] + point.measures
        return [HourOfDay(hour, measures) for hour, measures in enumerate(hours)]

    async def profitability(self, question: Question) -> Sequence[FeatureReturn]:
        """Return the margin of each feature, the highest first, and its return on cost."""
        parts = await self._analytics.breakdown(question, "feature")
        found = [self._return(part.value, part.measures) for part in parts]
        return sorted(found, key=lambda item: item.margin_credits, reverse=True)

    async def _check(self, question: Question, amount: Amount) -> None:
        meter = question.filters.meter
        if meter is not None:
            await self._known.require(meter)
        elif amount == "quantity":
            raise InvalidError(
                "quantities of different meters have different units and are not added; name a meter", param="meter"
            )

    async def _amounts(self, question: Question, unit: Unit, amount: Amount) -> list[tuple[Decimal, Point]]:
        points = await self._analytics.series(question, unit)
        aggregation = await self._aggregation(question.filters.meter) if amount == "quantity" else "sum"
        if aggregation == "sum":
            return [(amount_of(point.measures, amount), point) for point in points]
        async with self._database.reading() as session:
            asked = await self._models.resolve(session, question)
            values = await self._raw.meter_values(session, asked, aggregation, unit)
        return [(values.get(point.period, Decimal(0)), point) for point in points]

    async def _aggregation(self, meter: str | None) -> Aggregation:
        declared = (await self._meters.all()).get(meter) if meter else None
        return declared.aggregation if declared else "sum"

    def _return(self, feature: str | None, measures: Measures) -> FeatureReturn:
        margin, cost = measures.margin_credits(self._credit_price_usd), measures.cost_usd / self._credit_price_usd
        return FeatureReturn(feature, measures, margin, (margin / cost).quantize(Decimal("0.0001")) if cost else None)


def counted_as(name: str, question: Question) -> tuple[Question, Amount]:
    """Return the question and the amount for `name`: `requests`, `tokens`, `credits`, `cost`, the number of `all` usage events,
    or the quantities of a meter of that name.
    """
    if name == _ALL:
        return question, "events"
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
        "events": Decimal(measures.facts),
    }[amount]


def _added_up(declared: Mapping[str, Meter], meter: str | int | None, sums: Measures) -> Decimal | None:
    if not isinstance(meter, str):
        return None
    aggregation: Aggregation = declared[meter].aggregation if meter in declared else "sum"
    return {"sum": sums.quantity, "count": Decimal(sums.facts)}.get(aggregation)


def _change(amounts: Sequence[Decimal], at: int, back: int) -> Decimal | None:
    before = amounts[at - back] if at >= back else Decimal(0)
    return ((amounts[at] - before) / before).quantize(Decimal("0.0001")) if before else None
