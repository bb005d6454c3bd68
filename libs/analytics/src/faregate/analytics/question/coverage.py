"""Coverage of a time range by buckets. Pure.

The longest buckets that fit are used; only the ends of the range are read from the facts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, pairwise

from faregate.analytics.question.calendar import Unit, periods_of
from faregate.analytics.question.dimensions import Grain, floor_to, next_after
from faregate.analytics.question.filters import TimeRange

__all__ = ["Coverage", "Piece", "cover", "cover_periods"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Buckets of one grain that begin from `start` up to before `end`."""

    grain: Grain
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Coverage:
    """Buckets that contain each moment from `start` up to before `end` once."""

    pieces: tuple[Piece, ...]
    start: datetime
    end: datetime

    def buckets_from(self, periods: Sequence[datetime]) -> bool:
        """Whether each of these consecutive periods is one bucket, from the period's start on."""
        if len(self.pieces) != 1 or self.pieces[0].start != periods[0]:
            return False
        grain = self.pieces[0].grain
        ends = (next_after(grain, period.astimezone(UTC)) for period in periods)
        return all(end == following for end, following in zip(ends, [*periods[1:], self.end], strict=True))


def cover(span: TimeRange, grains: Sequence[Grain]) -> Coverage | None:
    """Return the buckets of `grains` (finest first) that cover as much of `span` as possible; None if none fits."""
    finest = grains[0]
    start, end = _ceil(finest, span.start.astimezone(UTC)), floor_to(finest, span.end.astimezone(UTC))
    if start >= end:
        return None
    return Coverage(tuple(_pieces(start, end, list(grains))), start, end)


@lru_cache(maxsize=64)
def cover_periods(span: TimeRange, unit: Unit, grains: tuple[Grain, ...]) -> Coverage | None:
    """Return the buckets of `grains` (finest first) that cover as much of `span` as possible, each within one period.

    None if a period start lies within one of the finest buckets, or if none fits.
    """
    finest, within = grains[0], grains[: grains.index(_LONGEST[unit]) + 1] if _LONGEST[unit] in grains else grains
    cuts = [period.astimezone(UTC) for period in periods_of(span, unit)[1:]]
    start, end = _ceil(finest, span.start.astimezone(UTC)), floor_to(finest, span.end.astimezone(UTC))
    if start >= end or any(floor_to(finest, cut) != cut for cut in cuts):
        return None
    bounds = [start, *(cut for cut in cuts if start < cut < end), end]
    found = (_pieces(first, last, list(within)) for first, last in pairwise(bounds))
    return Coverage(tuple(_joined(chain.from_iterable(found))), start, end)


_LONGEST = {
    "quarter-hour": Grain.QUARTER,
    "hour": Grain.HOUR,
    "day": Grain.DAY,
    "week": Grain.DAY,
    "month": Grain.MONTH,
}


def _joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Join adjacent pieces: in a time zone without an offset one piece is enough for a whole series."""
    found: list[Piece] = []
    for piece in pieces:
        if found and found[-1].grain is piece.grain and found[-1].end == piece.start:
            found[-1] = Piece(piece.grain, found[-1].start, piece.end)
        else:
            found.append(piece)
    return found


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
