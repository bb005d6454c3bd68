"""Which buckets answer a range of time: the longest that fit, with only the ends left to the facts themselves. Pure."""

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


@lru_cache(maxsize=64)
def cover_periods(span: TimeRange, unit: Unit, grains: tuple[Grain, ...]) -> Coverage | None:
    """Cover as much of `span` as buckets of `grains` (finest first) can, none of which is in two of its periods.

    None if the finest buckets are cut by a period, or if not even one fits.
    """
    finest, within = grains[0], grains[: grains.index(_LONGEST[unit]) + 1] if _LONGEST[unit] in grains else grains
    cuts = [period.astimezone(UTC) for period in periods_of(span, unit)[1:]]
    start, end = _ceil(finest, span.start.astimezone(UTC)), floor_to(finest, span.end.astimezone(UTC))
    if start >= end or any(floor_to(finest, cut) != cut for cut in cuts):
        return None
    bounds = [start, *(cut for cut in cuts if start < cut < end), end]
    found = (_pieces(first, last, list(within)) for first, last in pairwise(bounds))
    return Coverage(tuple(_joined(chain.from_iterable(found))), start, end)


_LONGEST = {"hour": Grain.HOUR, "day": Grain.DAY, "week": Grain.DAY, "month": Grain.MONTH}


def _joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Join pieces that follow each other: a zone without an offset needs one for a whole series."""
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
