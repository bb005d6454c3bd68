"""Forecast methods on regular series. Pure.

Each method takes the past and a number of steps, and returns one value for each step. Seasonal methods name their period.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from faregate.analytics.insights.numeric import bounded_minimum, damped_trend, seasonal_part, smoothed

if TYPE_CHECKING:
    from faregate.analytics.insights.numeric import Vector

__all__ = ["INTERMITTENT_SHARE", "ForecastMethod", "methods_for"]

INTERMITTENT_SHARE = 0.5
"""From this fraction of periods without use on, a series is intermittent."""

_CYCLES = 3
_PROFILE_DECAY = 0.5
_ETS_VALUES = 150
_TSB_ALPHA, _TSB_BETA = 0.2, 0.1


@dataclass(frozen=True, slots=True)
class ForecastMethod:
    """One way to forecast.

    Attributes:
        name: as answers show it.
        needs: the least number of values.
    """

    name: str
    needs: int
    run: Callable[[Vector, int], Vector]


def methods_for(values: Vector, periods: Sequence[int]) -> Sequence[ForecastMethod]:
    """Return the methods that suit a series, the simplest first.

    `periods` are the lengths of its possible seasons. A series that is mostly zeros is only forecast by its mean rate: a trend
    or a season of such a series is an accident.
    """
    if float((values == 0).mean()) >= INTERMITTENT_SHARE:
        return [ForecastMethod("mean", 4, _mean), ForecastMethod("TSB (Croston)", 8, _tsb)]
    fitting = [period for period in periods if len(values) >= _CYCLES * period]
    adjusted = _Adjusted(tuple(fitting))
    return [
        ForecastMethod("last value", 1, _last) if not fitting else _seasonal("seasonal naive", fitting[0], _repeat),
        *(_seasonal("seasonal naive", period, _repeat) for period in fitting[1:]),
        *(_seasonal("mean season", period, _profile) for period in fitting),
        *(adjusted.method(name, run) for name, run in (("SES", _ses), ("Theta", _theta), ("ETS(A,Ad,N)", _damped))),
    ]


def _seasonal(name: str, period: int, run: Callable[[int, Vector, int], Vector]) -> ForecastMethod:
    return ForecastMethod(f"{name} ({period})", 2 * period, partial(run, period))


class _Adjusted:
    """Series less their seasons by STL. What was computed for one length is kept: all methods ask for the same beginnings."""

    def __init__(self, seasons: tuple[int, ...]) -> None:
        self._seasons = seasons
        self._known: dict[int, tuple[Vector, list[Vector]]] = {}

    def method(self, name: str, run: Callable[[Vector, int], Vector]) -> ForecastMethod:
        """Return `run` on what the seasons leave; the last cycle of each season is added again."""
        needs = max([8, *(2 * period + 1 for period in self._seasons)])
        return ForecastMethod(f"STL + {name}" if self._seasons else name, needs, partial(self._run, run))

    def _run(self, run: Callable[[Vector, int], Vector], values: Vector, horizon: int) -> Vector:
        left, parts = self._split(values)
        forecast = run(left, horizon)
        for period, part in zip(self._seasons, parts, strict=True):
            forecast = forecast + _repeat(period, part, horizon)
        return forecast

    def _split(self, values: Vector) -> tuple[Vector, list[Vector]]:
        if len(values) not in self._known:
            left = values
            parts: list[Vector] = []
            for period in self._seasons:
                parts.append(seasonal_part(left, period))
                left = left - parts[-1]
            self._known[len(values)] = left, parts
        return self._known[len(values)]


def _last(values: Vector, horizon: int) -> Vector:
    import numpy as np

    return np.full(horizon, values[-1])


def _mean(values: Vector, horizon: int) -> Vector:
    import numpy as np

    return np.full(horizon, float(values.mean()))


def _repeat(period: int, values: Vector, horizon: int) -> Vector:
    import numpy as np

    return np.resize(values[-period:], horizon)


def _profile(period: int, values: Vector, horizon: int) -> Vector:
    """Return the last level with the mean shape of the last cycles, of which recent ones weigh more."""
    import numpy as np

    count = min(_CYCLES, len(values) // period)
    cycles = values[len(values) - count * period :].reshape(count, period)
    levels = cycles.mean(axis=1, keepdims=True)
    weights = _PROFILE_DECAY ** np.arange(count)[::-1]
    shape = ((cycles - levels) * (weights / weights.sum())[:, None]).sum(axis=0)
    return np.resize(shape + levels[-1, 0], horizon)


def _level(values: Vector) -> tuple[float, float]:
    """Return the level of simple exponential smoothing, and its smoothing factor."""

    def error(alpha: float) -> float:
        misses = values[1:] - smoothed(values, alpha)[:-1]
        return float(misses @ misses)

    alpha = bounded_minimum(error, 0.01, 0.9999)
    return float(smoothed(values, alpha)[-1]), alpha


def _ses(values: Vector, horizon: int) -> Vector:
    import numpy as np

    return np.full(horizon, _level(values)[0])


def _theta(values: Vector, horizon: int) -> Vector:
    """Return the standard Theta method: smoothing, with half the slope of the line through the series."""
    import numpy as np

    level, alpha = _level(values)
    slope = float(np.polyfit(np.arange(len(values)), values, 1)[0])
    shift = (1 - (1 - alpha) ** len(values)) / alpha
    forecast: Vector = level + slope / 2 * (np.arange(horizon, dtype=np.float64) + shift)
    return forecast


def _damped(values: Vector, horizon: int) -> Vector:
    return damped_trend(values[-_ETS_VALUES:], horizon)


def _tsb(values: Vector, horizon: int) -> Vector:
    """Return the rate by Teunter, Syntetos and Babai: the smoothed chance of use, times the smoothed amount of a use."""
    import numpy as np

    used = values > 0
    chance = smoothed(used.astype(np.float64), _TSB_BETA)[-1]
    amount = smoothed(values[used], _TSB_ALPHA)[-1] if used.any() else 0.0
    return np.full(horizon, float(chance * amount))
