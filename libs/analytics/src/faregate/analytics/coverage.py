"""Which buckets answer a range of time: the longest that fit, with only the ends left to the facts themselves. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from faregate.analytics.calendar import Unit
from faregate.analytics.dimensions import Grain, floor_to, next_after
from faregate.analytics.filters import TimeRange

__all__ = ["Coverage", "Piece", "cover", "grain_for"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Buckets of one grain that begin from `start` up to before `end`."""

    grain: Grain
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Coverage:
    """Buckets that hold `start` up to before `end`, each moment once."""

    pieces: tuple[Piece, ...]
    start: datetime
    end: datetime


def cover(span: TimeRange, grains: Sequence[Grain]) -> Coverage | None:
    """Cover as much of `span` as buckets of `grains` (finest first) can; None if not even one fits."""
    finest = grains[0]
    start, end = _ceil(finest, span.start.astimezone(UTC)), floor_to(finest, span.end.astimezone(UTC))
    if start >= end:
        return None
    return Coverage(tuple(_pieces(start, end, list(grains))), start, end)


def grain_for(periods: Sequence[datetime], unit: Unit, grains: Sequence[Grain]) -> Grain | None:
    """Return the coarsest of `grains` (finest first) that no period of a series cuts in two."""
    longest = {"hour": Grain.HOUR, "day": Grain.DAY, "week": Grain.DAY, "month": Grain.MONTH}[unit]
    for grain in reversed(grains):
        if grain <= longest and all(floor_to(grain, period) == period for period in periods):
            return grain
    return None


def _pieces(start: datetime, end: datetime, grains: list[Grain]) -> list[Piece]:
    grain = grains[-1]
    first, last = _ceil(grain, start), floor_to(grain, end)
    finer = grains[:-1]
    if first >= last:
        return _pieces(start, end, finer) if finer else []
    before = _pieces(start, first, finer) if finer and start < first else []
    after = _pieces(last, end, finer) if finer and last < end else []
    return [*before, Piece(grain, first, last), *after]


def _ceil(grain: Grain, moment: datetime) -> datetime:
    start = floor_to(grain, moment)
    return start if start == moment else next_after(grain, start)
