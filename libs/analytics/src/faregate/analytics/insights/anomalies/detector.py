"""Detector of unusual values, with one setting for all series. Pure.

A value is unusual if the mean of the last few values is further from its reference than almost every mean before it. The
reference is the median of the recent past, or, where the series repeats by day or week, the median of the same time in past
days or weeks: what happens on every Monday is not unusual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from faregate.analytics.insights.numeric import rolling_median, rolling_quantile

if TYPE_CHECKING:
    from faregate.analytics.insights.numeric import Vector

__all__ = ["LEAST_VALUES", "QUIET_STEPS", "Deviations", "Season", "deviations", "first_of_each"]

LEAST_VALUES = 110
"""From this number of values on something can be unusual: 50 for the reference, and 60 deviations from it."""

QUIET_STEPS = 75
"""After an unusual value, the same series is silent for this number of steps."""

FACTOR = 1.15
"""How far beyond the limit of the past a deviation must be."""

_MEAN_OF = 4
_REFERENCE, _LEAST_REFERENCE = 300, 50
_PAST, _LEAST_PAST, _QUANTILE = 4000, 60, 0.995
_TYPICAL, _LEAST_TYPICAL, _SEASONAL_GAIN = 2000, 100, 0.85


@dataclass(frozen=True, slots=True)
class Season:
    """A season of `period` steps; its reference is the median of the last `cycles`, of which `least` must be known."""

    period: int
    cycles: int
    least: int


DAILY_CYCLES, WEEKLY_CYCLES = (6, 4), (5, 3)


@dataclass(frozen=True, slots=True)
class Deviations:
    """For each value: the reference, the deviation of the mean, and the limit of what occurred before.

    `score` is the size of the deviation divided by the limit; 0 while nothing is known.
    """

    reference: Vector
    deviation: Vector
    limit: Vector
    score: Vector


def deviations(values: Vector, seasons: Sequence[Season], *, least_limit: float = 0.0) -> Deviations:
    """Return the deviation of each value, from what came before it alone; no limit is below `least_limit`."""
    import numpy as np

    best = _against(values, rolling_median(values, _REFERENCE, _LEAST_REFERENCE))
    for season in seasons:
        other = _against(values, _same_time(values, season))
        better = (other.typical < _SEASONAL_GAIN * best.typical) & ~np.isnan(other.off) & ~np.isnan(other.limit)
        best = _Against(*(np.where(better, new, old) for new, old in zip(other, best, strict=True)))
    known = np.nan_to_num(best.off)
    limit = np.maximum(best.limit, least_limit)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.nan_to_num(np.abs(known) / (limit + 1e-9), nan=0.0, posinf=0.0)
    return Deviations(best.reference, known, limit, score)


class _Against(NamedTuple):
    """The deviations from one kind of reference: the means, their typical size, and their limit, each from the past."""

    reference: Vector
    off: Vector
    typical: Vector
    limit: Vector


def _against(values: Vector, reference: Vector) -> _Against:
    import numpy as np

    off = _means(values - reference)
    size = np.abs(off)
    typical = rolling_median(size, _TYPICAL, _LEAST_TYPICAL)
    return _Against(reference, off, typical, rolling_quantile(size, _PAST, _LEAST_PAST, _QUANTILE))


def first_of_each(score: Vector) -> list[int]:
    """Return the places of unusual values, without those that follow another within `QUIET_STEPS`."""
    found: list[int] = []
    for place, value in enumerate(score):
        if value >= FACTOR and (not found or place - found[-1] >= QUIET_STEPS):
            found.append(place)
    return found


def _means(values: Vector) -> Vector:
    """Return the mean of each value and the last ones before it, as many as are known."""
    import numpy as np

    padded = np.concatenate([np.full(_MEAN_OF - 1, np.nan), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, _MEAN_OF)
    counts = (~np.isnan(windows)).sum(axis=1)
    sums = np.nansum(windows, axis=1)
    return np.where((counts > 0) & ~np.isnan(values), sums / np.maximum(counts, 1), np.nan)


def _same_time(values: Vector, season: Season) -> Vector:
    """Return the median of the values one, two … cycles ago; unknown before there are enough."""
    import numpy as np

    past = np.full((season.cycles, len(values)), np.nan)
    for back in range(1, season.cycles + 1):
        shift = back * season.period
        if shift < len(values):
            past[back - 1, shift:] = values[:-shift]
    usual = np.full(len(values), np.nan)
    enough = (~np.isnan(past)).sum(axis=0) >= season.least
    if enough.any():
        usual[enough] = np.nanmedian(past[:, enough], axis=0)
    return usual
