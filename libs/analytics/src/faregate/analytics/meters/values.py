"""What is told about a meter. Amounts are exact, in the meter's unit."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

__all__ = ["MeterStats", "Peak", "TrendPoint", "change_percent"]


@dataclass(frozen=True, slots=True)
class MeterStats:
    """One number per event, summed up. Median and percentiles are values that occurred (the nearest rank)."""

    count: int
    total: Decimal
    average: Decimal | None
    least: Decimal | None
    median: Decimal | None
    p95: Decimal | None
    p99: Decimal | None
    most: Decimal | None


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One day beside the day before and the same day of the week before; None where that one was 0."""

    day: datetime
    total: Decimal
    day_over_day_percent: Decimal | None
    week_over_week_percent: Decimal | None


@dataclass(frozen=True, slots=True)
class Peak:
    """A period in which much was used."""

    period: datetime
    total: Decimal
    events: int


def change_percent(now: Decimal, before: Decimal) -> Decimal | None:
    """Return by how many percent `now` is above `before`, with one place; None if there was nothing before."""
    return ((now - before) * 100 / before).quantize(Decimal("0.1")) if before else None
