"""Readings and costs of meters.

A reading follows the declaration of the meter; the cost is the reading times the price of the unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from faregate.analytics.answers.service import AnalyticsService
from faregate.analytics.answers.trends import Patterns, Stats
from faregate.analytics.question.filters import Question
from faregate.analytics.values import Measures
from faregate.usage.meters.catalog import MeterCatalog
from faregate.usage.meters.meter import Aggregation, Meter

__all__ = ["MeterDetail", "MeterTotal", "MeterTotals"]


@dataclass(frozen=True, slots=True)
class MeterTotal:
    """One meter over a range.

    Attributes:
        unit: None if the meter is not declared; its quantities are then summed.
        cost_usd: exact; None if the meter has no price.
    """

    meter: str
    unit: str | None
    aggregation: Aggregation
    events: int
    value: Decimal
    unit_price_usd: Decimal | None
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class MeterDetail:
    """One meter over a range, with its users and the statistics of its single quantities."""

    total: MeterTotal
    users: int
    stats: Stats


class MeterTotals:
    """Computes the readings of meters by their declarations."""

    def __init__(self, analytics: AnalyticsService, patterns: Patterns, meters: MeterCatalog) -> None:
        self._analytics = analytics
        self._patterns = patterns
        self._meters = meters

    async def value(self, question: Question, meter: str) -> Decimal:
        """Return the reading of `meter` in the range, by its declaration: sum, count, highest quantity, users or last quantity."""
        declared = (await self._meters.all()).get(meter)
        return await self._value(question, meter, declared.aggregation if declared else "sum")

    async def totals(self, question: Question) -> Sequence[MeterTotal]:
        """Return each meter that was used, by name, with its cost."""
        declared = await self._meters.all()
        parts = await self._analytics.breakdown(question, "meter")
        found = [
            await self._total(question, part.value, declared.get(part.value), part.measures)
            for part in parts
            if part.value is not None and part.measures.facts
        ]
        return sorted(found, key=lambda total: total.meter)

    async def details(self, question: Question) -> Sequence[MeterDetail]:
        """Return each meter as `totals` does, with its users and statistics; these are read from the single events."""
        return [await self._detail(question, total) for total in await self.totals(question)]

    async def _detail(self, question: Question, total: MeterTotal) -> MeterDetail:
        asked = replace(question, filters=replace(question.filters, meter=total.meter))
        users = (await self._analytics.metrics(asked)).unique_users
        return MeterDetail(total, users, await self._patterns.stats(asked))

    async def _total(self, question: Question, name: str, meter: Meter | None, sums: Measures) -> MeterTotal:
        aggregation: Aggregation = meter.aggregation if meter else "sum"
        kept = _kept(sums, aggregation)
        value = kept if kept is not None else await self._value(question, name, aggregation)
        if meter is None:
            return MeterTotal(name, None, aggregation, sums.facts, value, None, None)
        return MeterTotal(name, meter.unit, aggregation, sums.facts, value, meter.unit_price_usd, meter.price(value))

    async def _value(self, question: Question, meter: str, aggregation: Aggregation) -> Decimal:
        """Read sums, counts and users from the rollups; only the other readings need the single events."""
        if aggregation in {"max", "latest"}:
            return await self._patterns.meter_value(question, meter, aggregation)
        found = await self._analytics.metrics(replace(question, filters=replace(question.filters, meter=meter)))
        kept = _kept(found.measures, aggregation)
        return kept if kept is not None else Decimal(found.unique_users)


def _kept(sums: Measures, aggregation: Aggregation) -> Decimal | None:
    """Return the reading of a meter from its sums; None if they do not contain it."""
    if aggregation == "sum":
        return sums.quantity
    return Decimal(sums.facts) if aggregation == "count" else None
