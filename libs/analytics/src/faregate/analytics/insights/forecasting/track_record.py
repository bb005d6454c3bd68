"""Track record: earlier forecasts of a question beside what came. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

__all__ = ["EarlierForecast", "Kept", "track_record"]

_QUANTUM = Decimal("0.000001")
_RATE = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept forecast: its date, and (period, expected, low80, high80) of each point."""

    made_at: datetime
    points: Sequence[tuple[datetime, Decimal, Decimal, Decimal]]


@dataclass(frozen=True, slots=True)
class EarlierForecast:
    """How one earlier forecast did, on the periods that have passed since.

    Attributes:
        held: the fraction of these periods that its 80 % intervals contained.
    """

    made_at: datetime
    periods: int
    error: Decimal
    expected: Decimal
    came: Decimal
    held: Decimal


def track_record(kept: Sequence[Kept], came: Mapping[datetime, Decimal]) -> list[EarlierForecast]:
    """Return the result of each forecast of which a period has passed, in the order given."""
    return [found for forecast in kept if (found := _result(forecast, came)) is not None]


def _result(forecast: Kept, came: Mapping[datetime, Decimal]) -> EarlierForecast | None:
    passed = [(point, came[point[0]]) for point in forecast.points if point[0] in came]
    if not passed:
        return None
    misses = [abs(actual - point[1]) for point, actual in passed]
    held = sum(1 for point, actual in passed if point[2] <= actual <= point[3])
    return EarlierForecast(
        made_at=forecast.made_at,
        periods=len(passed),
        error=(sum(misses, Decimal(0)) / len(passed)).quantize(_QUANTUM),
        expected=sum((point[1] for point, _ in passed), Decimal(0)),
        came=sum((actual for _, actual in passed), Decimal(0)),
        held=(Decimal(held) / len(passed)).quantize(_RATE),
    )
