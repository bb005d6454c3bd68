"""What each meter read and costs: its value as it is declared, times the price of its unit."""

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
        unit: None where nobody declared the meter; its quantities are then summed.
        cost_usd: exact; None where the meter is not sold by the unit.
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
    """Reads meters by their declarations."""

    def __init__(self, analytics: AnalyticsService, patterns: Patterns, meters: MeterCatalog) -> None:
        self._analytics = analytics
        self._patterns = patterns
        self._meters = meters

    async def value(self, question: Question, meter: str) -> Decimal:
        """Return what `meter` read in the range: the sum, count, highest, users or last quantity it is declared as."""
        declared = (await self._meters.all()).get(meter)
        return await self._value(question, meter, declared.aggregation if declared else "sum")

    async def totals(self, question: Question) -> Sequence[MeterTotal]:
        """Return each meter that was used, by name, with what it costs."""
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
        """Read sums, counts and users from the sums that are kept; only the other readings need the single events."""
        if aggregation in {"max", "latest"}:
            return await self._patterns.meter_value(question, meter, aggregation)
        found = await self._analytics.metrics(replace(question, filters=replace(question.filters, meter=meter)))
        kept = _kept(found.measures, aggregation)
        return kept if kept is not None else Decimal(found.unique_users)


def _kept(sums: Measures, aggregation: Aggregation) -> Decimal | None:
    """Return the reading that a meter's sums hold; None for one that they do not."""
    if aggregation == "sum":
        return sums.quantity
    return Decimal(sums.facts) if aggregation == "count" else None
