"""What each meter read and costs: its value as it is declared, times the price of its unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from faregate.analytics.filters import Question
from faregate.analytics.patterns import Patterns
from faregate.analytics.service import AnalyticsService
from faregate.analytics.values import Measures
from faregate.usage.meter_catalog import MeterCatalog
from faregate.usage.meters import Aggregation, Meter

__all__ = ["MeterTotal", "MeterTotals"]


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


class MeterTotals:
    """Reads meters by their declarations."""

    def __init__(self, analytics: AnalyticsService, patterns: Patterns, meters: MeterCatalog) -> None:
        self._analytics = analytics
        self._patterns = patterns
        self._meters = meters

    async def value(self, question: Question, meter: str) -> Decimal:
        """Return what `meter` read in the range: the sum, count, highest, users or last quantity it is declared as."""
        declared = (await self._meters.all()).get(meter)
        return await self._patterns.meter_value(question, meter, declared.aggregation if declared else "sum")

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

    async def _total(self, question: Question, name: str, meter: Meter | None, sums: Measures) -> MeterTotal:
        aggregation: Aggregation = meter.aggregation if meter else "sum"
        value = await self._read(question, name, aggregation, sums)
        if meter is None:
            return MeterTotal(name, None, aggregation, sums.facts, value, None, None)
        return MeterTotal(name, meter.unit, aggregation, sums.facts, value, meter.unit_price_usd, meter.price(value))

    async def _read(self, question: Question, name: str, aggregation: Aggregation, sums: Measures) -> Decimal:
        """Return the meter's value: sums and counts are kept; only the other readings need the single events."""
        if aggregation == "sum":
            return sums.quantity
        if aggregation == "count":
            return Decimal(sums.facts)
        return await self._patterns.meter_value(question, name, aggregation)
