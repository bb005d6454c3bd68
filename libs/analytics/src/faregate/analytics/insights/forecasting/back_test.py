"""Back-test of forecast methods on the series itself. Pure.

Each method forecasts from several past moments, knowing only what came before; its errors choose the method and give the
widths of the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faregate.analytics.insights.forecasting.methods import ForecastMethod

if TYPE_CHECKING:
    from faregate.analytics.insights.numeric import Vector

__all__ = ["BackTest", "Bands", "bands_of", "tested"]

LEAST_ORIGINS = 2
_MOST_ORIGINS = 6
_LEAST_SCALE = 1e-12
_CAUTION = 0.25
"""Intervals are this much wider in rank than the errors say: the chosen method is the one that did best on these very errors."""


@dataclass(frozen=True, slots=True)
class BackTest:
    """The errors of one method: a row for each origin, a column for each step.

    Attributes:
        error: the mean absolute error.
        naive_error: that of the simplest method on the same periods.
    """

    method: ForecastMethod
    errors: Vector
    error: float
    naive_error: float


@dataclass(frozen=True, slots=True)
class Bands:
    """Half-widths of intervals for each step, and the fraction of the back-test's values that 80 % intervals contained.

    `coverage` is measured by leaving out each origin in turn; None with fewer than three origins.
    """

    narrow: Vector
    wide: Vector
    coverage: float | None


def origins(count: int, horizon: int, needs: int) -> list[int]:
    """Return the numbers of values that the forecasts of the back-test know, the latest first; at least half of the series.

    They lie one horizon apart, or closer where the series is short: at least half a horizon, so that they differ.
    """
    last, first = count - horizon, max(needs, count // 2)
    room = (last - first) // (_MOST_ORIGINS - 1)
    step = max(1, horizon // 2, min(horizon, room))
    return list(range(last, first - 1, -step))[:_MOST_ORIGINS]


def tested(values: Vector, methods: Sequence[ForecastMethod], horizon: int) -> Sequence[BackTest]:
    """Return the back-tests of all methods on the same origins, the best first; empty if the series is too short.

    A method that fails or leaves the range of numbers is left out.
    """
    cuts = origins(len(values), horizon, max(method.needs for method in methods))
    if len(cuts) < LEAST_ORIGINS:
        cuts = origins(len(values), horizon, methods[0].needs)
        methods = [method for method in methods if cuts and method.needs <= cuts[-1]]
    if len(cuts) < LEAST_ORIGINS or not methods:
        return []
    errors = [_errors(values, method, cuts, horizon) for method in methods]
    naive = float(abs(errors[0]).mean())
    found = [
        BackTest(method, missed, float(abs(missed).mean()), naive)
        for method, missed in zip(methods, errors, strict=True)
    ]
    return sorted((test for test in found if test.error == test.error), key=lambda test: test.error)


def bands_of(errors: Vector) -> Bands:
    """Return the intervals that the errors of a back-test imply; they widen with the step and never narrow."""
    import numpy as np

    narrow, wide = _half_widths(errors, 0.8), _half_widths(errors, 0.95)
    if len(errors) <= LEAST_ORIGINS:
        return Bands(narrow, wide, None)
    held = [
        np.abs(errors[place]) <= _half_widths(np.delete(errors, place, axis=0), 0.8) for place in range(len(errors))
    ]
    return Bands(narrow, wide, float(np.mean(held)))


def _half_widths(errors: Vector, share: float) -> Vector:
    import numpy as np

    scale = _scales(errors)
    ratios = np.sort((np.abs(errors) / scale).ravel())
    rank = share + (1 - share) * _CAUTION
    return scale * float(np.quantile(ratios, rank))


def _scales(errors: Vector) -> Vector:
    """Return the expected size of the error at each step: its mean, as a line that does not fall."""
    import numpy as np

    sizes = np.abs(errors).mean(axis=0)
    steps = np.arange(1, len(sizes) + 1, dtype=np.float64)
    growth = float(np.clip(_growth(steps, sizes), 0.0, 1.0))
    shape = steps**growth
    scales: Vector = np.maximum(float((sizes / shape).mean()) * shape, _LEAST_SCALE)
    return scales


def _growth(steps: Vector, sizes: Vector) -> float:
    """Return the exponent by which errors grow with the step: 0 for none, 0.5 for a random walk."""
    import numpy as np

    if len(steps) < 3 or not (sizes > 0).all():
        return 0.5
    return float(np.polyfit(np.log(steps), np.log(sizes), 1)[0])


def _errors(values: Vector, method: ForecastMethod, cuts: Sequence[int], horizon: int) -> Vector:
    import numpy as np

    rows = [values[cut : cut + horizon] - method.run(values[:cut], horizon) for cut in cuts]
    return np.array(rows)
