"""Special days of the business calendar in a series of days. Pure.

A special day teaches nothing about other days, and other days nothing about it: it is replaced by what is usual for its day of
the week, and forecast by what past special days were compared with the usual.
"""

from collections.abc import Collection, Sequence
from datetime import date
from statistics import median

__all__ = ["LEAST_SPECIAL_DAYS", "day_factor", "without_special_days"]

LEAST_SPECIAL_DAYS = 2
"""From this number of past special days on, a factor is learned from them."""

_WEEKS = 4


def without_special_days(days: Sequence[date], values: Sequence[float], special: Collection[date]) -> list[float]:
    """Return the values with each special day replaced by the median of the same weekday in the four weeks around it."""
    return [_usual(days, values, special, place) if day in special else values[place] for place, day in enumerate(days)]


def day_factor(days: Sequence[date], values: Sequence[float], special: Collection[date]) -> float | None:
    """Return what past special days were compared with the usual (the median ratio); None if there were too few."""
    ratios = [
        values[place] / usual
        for place, day in enumerate(days)
        if day in special and (usual := _usual(days, values, special, place)) > 0
    ]
    return median(ratios) if len(ratios) >= LEAST_SPECIAL_DAYS else None


def _usual(days: Sequence[date], values: Sequence[float], special: Collection[date], place: int) -> float:
    near = [place + 7 * step for step in range(-_WEEKS, _WEEKS + 1) if step]
    usual = [values[each] for each in near if 0 <= each < len(days) and days[each] not in special]
    return median(usual) if usual else values[place]
