"""Hours of a zone as a regular local grid. Pure.

A season of 24 hours is a season of the local clock: after a clock change it would be an hour off. On the grid each local day
has 24 hours; an hour that occurs twice is averaged, an hour that is skipped is the mean of its neighbours.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import fmean
from zoneinfo import ZoneInfo

__all__ = ["grid_of", "place_of"]


def place_of(period: datetime, zone: ZoneInfo) -> int:
    """Return the place of an hour in the grid: local days since the year 1, times 24, plus the local hour."""
    local = period.astimezone(zone)
    return local.toordinal() * 24 + local.hour


def grid_of(periods: Sequence[datetime], values: Sequence[float], zone: ZoneInfo) -> list[float]:
    """Return the values of consecutive hours as consecutive places of the grid."""
    known: dict[int, list[float]] = {}
    for period, value in zip(periods, values, strict=True):
        known.setdefault(place_of(period, zone), []).append(value)
    first, last = min(known), max(known)
    return [_value(known, place) for place in range(first, last + 1)]


def _value(known: Mapping[int, list[float]], place: int) -> float:
    if place in known:
        return fmean(known[place])
    around = [fmean(known[near]) for near in (place - 1, place + 1) if near in known]
    return fmean(around) if around else 0.0
