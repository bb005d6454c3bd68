"""Forecast of one series by the method its back-test chooses. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from faregate.analytics.insights.forecasting.back_test import BackTest, Bands, bands_of, tested
from faregate.analytics.insights.forecasting.holidays import day_factor, without_special_days
from faregate.analytics.insights.forecasting.local_grid import grid_of, place_of
from faregate.analytics.insights.forecasting.methods import INTERMITTENT_SHARE, methods_for
from faregate.analytics.insights.forecasting.values import (
    ForecastPoint,
    ForecastTest,
    ForecastUnit,
    SeriesForecast,
)
from faregate.analytics.insights.numeric import as_vector

if TYPE_CHECKING:
    from faregate.analytics.insights.numeric import Vector

__all__ = ["LEAST_PERIODS", "PERIODS_OF_USE", "forecast_series", "shortage"]

LEAST_PERIODS: dict[ForecastUnit, int] = {"hour": 72, "day": 28, "week": 16, "month": 12}
"""How many periods a series must have."""

PERIODS_OF_USE = 10
"""How many of them must have any use."""

_SEASONS: dict[ForecastUnit, tuple[int, ...]] = {"hour": (24, 168), "day": (7,), "week": (52,), "month": (12,)}
_QUANTUM = Decimal("0.000001")


def shortage(values: Sequence[Decimal], unit: ForecastUnit, horizon: int) -> str | None:
    """Return what a series lacks for a forecast, in words; None if it is long enough."""
    needed = max(LEAST_PERIODS[unit], 3 * horizon)
    if len(values) < needed:
        return f"{len(values)} {unit}s since the first use; a forecast of {horizon} needs {needed}"
    used = sum(1 for value in values if value != 0)
    if used < PERIODS_OF_USE:
        return f"only {used} {unit}s with use; a forecast needs {PERIODS_OF_USE}"
    return None


def forecast_series(
    periods: Sequence[datetime],
    values: Sequence[Decimal],
    ahead: Sequence[datetime],
    unit: ForecastUnit,
    zone: ZoneInfo,
    *,
    special: Collection[date] = (),
) -> SeriesForecast | None:
    """Return the forecast of the periods `ahead`, the last of which is only an end; None if no back-test is possible.

    `periods` are consecutive and complete, and `ahead` continues them. The values must not have a `shortage`.
    """
    known, weigh = _regular(periods, [float(value) for value in values], ahead, unit, zone, special)
    steps = _steps(periods, ahead, unit, zone)
    horizon = max(steps) + 1
    tests = tested(known, methods_for(known, _SEASONS[unit]), horizon)
    if not tests:
        return None
    bands, expected = bands_of(tests[0].errors), tests[0].method.run(known, horizon)
    floor = min(0.0, float(known.min()))
    points = [
        _point(period, step, expected, bands, weigh(period, end), floor)
        for period, end, step in zip(ahead[:-1], ahead[1:], steps, strict=True)
    ]
    coverage = None if bands.coverage is None else Decimal(str(round(bands.coverage, 4)))
    return SeriesForecast(points, [_test(test) for test in tests], len(tests[0].errors), coverage)


def is_intermittent(values: Sequence[Decimal]) -> bool:
    """Return whether most periods are without use."""
    return sum(1 for value in values if value == 0) >= INTERMITTENT_SHARE * len(values)


def _regular(
    periods: Sequence[datetime],
    values: Sequence[float],
    ahead: Sequence[datetime],
    unit: ForecastUnit,
    zone: ZoneInfo,
    special: Collection[date],
) -> tuple[Vector, Callable[[datetime, datetime], float]]:
    """Return the values as a regular series, and the factor by which a regular value becomes that of a period."""
    if unit == "hour":
        return as_vector(grid_of(periods, values, zone)), _as_it_is
    if unit == "month":
        ends = [*periods[1:], ahead[0]]
        spans = [_days(start, end) for start, end in zip(periods, ends, strict=True)]
        return as_vector([value / span for value, span in zip(values, spans, strict=True)]), _days
    if unit == "day" and special:
        days = [period.astimezone(zone).date() for period in periods]
        factor = day_factor(days, values, special)

        def weigh(start: datetime, _end: datetime) -> float:
            return factor if factor is not None and start.astimezone(zone).date() in special else 1.0

        return as_vector(without_special_days(days, values, special)), weigh
    return as_vector(values), _as_it_is


def _as_it_is(_start: datetime, _end: datetime) -> float:
    return 1.0


def _days(start: datetime, end: datetime) -> float:
    return (end - start) / timedelta(days=1)


def _steps(periods: Sequence[datetime], ahead: Sequence[datetime], unit: ForecastUnit, zone: ZoneInfo) -> list[int]:
    """Return how many steps after the last known value each period lies; both of a repeated local hour are the same step."""
    if unit != "hour":
        return list(range(len(ahead) - 1))
    last = max(place_of(period, zone) for period in periods[-3:])
    return [max(0, place_of(period, zone) - last - 1) for period in ahead[:-1]]


def _point(period: datetime, step: int, expected: Vector, bands: Bands, weight: float, floor: float) -> ForecastPoint:
    middle = max(float(expected[step]), floor)

    def at(offset: float) -> Decimal:
        return Decimal(str(max(middle + offset, floor) * weight)).quantize(_QUANTUM)

    narrow, wide = float(bands.narrow[step]), float(bands.wide[step])
    return ForecastPoint(period, at(0.0), at(-narrow), at(narrow), at(-wide), at(wide))


def _test(test: BackTest) -> ForecastTest:
    ratio = Decimal(str(round(test.error / test.naive_error, 4))) if test.naive_error > 0 else None
    return ForecastTest(test.method.name, Decimal(str(test.error)).quantize(_QUANTUM), ratio)
