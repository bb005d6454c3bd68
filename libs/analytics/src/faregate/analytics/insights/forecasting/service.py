"""Forecast service: requests, tokens, credits or cost of any question."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from faregate.analytics.answers.trends import amount_of
from faregate.analytics.insights.asking import ask_of
from faregate.analytics.insights.forecasting.forecast import forecast_series, is_intermittent, shortage
from faregate.analytics.insights.forecasting.track_record import Kept, track_record
from faregate.analytics.insights.forecasting.values import ForecastUnit, SeriesForecast
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.series import Series, SeriesReader, complete_range, periods_ahead
from faregate.analytics.insights.values import Ask, Evidence, Insight, InsightKind, InsightResult
from faregate.analytics.question.calendar import period_at
from faregate.analytics.question.filters import Question
from faregate.core.clock import IClock
from faregate.core.errors import InvalidError
from faregate.core.values.time_zones import time_zone

__all__ = ["HORIZONS", "ForecastAmount", "ForecastService"]

ForecastAmount = Literal["requests", "tokens", "credits", "cost"]
HORIZONS: dict[ForecastUnit, tuple[int, int]] = {"hour": (48, 168), "day": (14, 92), "week": (8, 26), "month": (3, 12)}
"""The usual and the greatest number of periods to forecast."""

_HISTORY: dict[ForecastUnit, int] = {"hour": 1000, "day": 730, "week": 260, "month": 84}
_EARLIER_SHOWN = 10
_EARLIER_DAYS = 120


class ForecastService:
    """Forecasts from whole periods of the question's time zone; each forecast is kept, and later shown beside what came."""

    def __init__(
        self, reader: SeriesReader, keeper: InsightKeeper, clock: IClock, *, special_days: Collection[date] = ()
    ) -> None:
        self._reader = reader
        self._keeper = keeper
        self._clock = clock
        self._special = special_days

    async def forecast(
        self, question: Question, *, of: ForecastAmount, unit: ForecastUnit, horizon: int | None = None
    ) -> Insight:
        """Return the forecast of the running period and those after it: a kept one if it was made in this period.

        The range of the question is not used: a forecast rests on the newest complete periods.

        Raises:
            InvalidError: the horizon is 0 or too long for the unit.
            MissingExtraError: the forecast must be computed, but the extra `insights` is not installed.
        """
        steps = _horizon(unit, horizon)
        ask = ask_of(InsightKind.FORECAST, question, of=of, unit=unit, horizon=steps)
        since = period_at(self._clock.now(), unit, time_zone(question.range.timezone))
        return await self._keeper.current(ask, lambda: self._compute(ask, question, of, unit, steps), made_since=since)

    async def _compute(
        self, ask: Ask, question: Question, of: ForecastAmount, unit: ForecastUnit, horizon: int
    ) -> InsightResult:
        now = self._clock.now()
        asked = complete_range(question, unit, now=now, count=_HISTORY[unit])
        series = (await self._reader.series(asked, unit)).since_first_use()
        values = [amount_of(sums, of) for sums in series.measures]
        lack = shortage(values, unit, horizon)
        if lack is not None:
            return _not_enough(asked, unit, len(values), lack)
        ahead = periods_ahead(asked.range.end, unit, asked.range.timezone, horizon)
        zone = time_zone(asked.range.timezone)
        found = await asyncio.to_thread(
            forecast_series, series.periods, values, ahead, unit, zone, special=self._special
        )
        if found is None:
            return _not_enough(asked, unit, len(values), "the series is too short for a back-test with this horizon")
        earlier = await self._earlier(ask, dict(zip(series.periods, values, strict=True)))
        answer = _answer(of, unit, found, earlier)
        return InsightResult(True, _evidence(asked, unit, series, values, found), answer)

    async def _earlier(self, ask: Ask, came: dict[datetime, Decimal]) -> list[dict[str, Any]]:
        kept = await self._keeper.earlier(ask, days=_EARLIER_DAYS, limit=_EARLIER_SHOWN)
        forecasts = [Kept(each.made_at, [_point(point) for point in each.result.answer["points"]]) for each in kept]
        return [asdict(each) for each in track_record(forecasts, came)]


def _horizon(unit: ForecastUnit, horizon: int | None) -> int:
    usual, most = HORIZONS[unit]
    steps = usual if horizon is None else horizon
    if not 1 <= steps <= most:
        raise InvalidError(f"horizon must be 1 to {most} {unit}s", param="horizon")
    return steps


def _point(point: dict[str, Any]) -> tuple[datetime, Decimal, Decimal, Decimal]:
    amounts = (Decimal(point[name]) for name in ("expected", "low80", "high80"))
    expected, low, high = amounts
    return datetime.fromisoformat(point["period"]), expected, low, high


def _answer(
    of: ForecastAmount, unit: ForecastUnit, found: SeriesForecast, earlier: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "amount": of,
        "unit": unit,
        "points": [asdict(point) for point in found.points],
        "total": sum((point.expected for point in found.points), Decimal(0)),
        "tests": [asdict(test) for test in found.tests],
        "coverage": found.coverage,
        "earlier": earlier,
    }


def _not_enough(asked: Question, unit: ForecastUnit, sample: int, lack: str) -> InsightResult:
    evidence = Evidence(
        method="none: not enough history",
        sample=sample,
        sampled=f"{unit}s",
        start=asked.range.start,
        end=asked.range.end,
        uncertainty="no forecast is made from less",
        limits=(f"not enough history: {lack}",),
    )
    return InsightResult(False, evidence, {})


def _evidence(
    asked: Question, unit: ForecastUnit, series: Series, values: Sequence[Decimal], found: SeriesForecast
) -> Evidence:
    held = "" if found.coverage is None else f", where 80 % intervals held {found.coverage:.0%} of the values"
    return Evidence(
        method=f"{found.tests[0].method}: the least mean absolute error of {len(found.tests)} methods in a back-test "
        f"from {found.origins} past moments",
        sample=len(values),
        sampled=f"{unit}s",
        start=series.periods[0],
        end=asked.range.end,
        uncertainty=f"intervals are quantiles of the errors of that back-test{held}",
        limits=tuple(_limits(asked, unit, series, values)),
    )


def _limits(asked: Question, unit: ForecastUnit, series: Series, values: Sequence[Decimal]) -> list[str]:
    limits = ["assumes that use goes on as before: a launch, a price change or a lost customer is not foreseen"]
    if is_intermittent(values):
        limits.append(f"most {unit}s are without use: only the mean rate is forecast, without trend or season")
    if unit == "hour" and asked.range.end - series.periods[0] < timedelta(weeks=3):
        limits.append("less than three weeks of history: days of the week cannot be told apart")
    if unit == "month" and len(values) < 36:
        limits.append("less than three years of history: months of the year cannot be told apart")
    if asked.omissions.note is not None:
        limits.append(asked.omissions.note)
    return limits
