"""Capacity service: measured cost of a request, and growth."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.asking import ask_of
from faregate.analytics.insights.forecasting.forecast import forecast_series, shortage
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.operations.capacity.repository import CapacityRepository
from faregate.analytics.insights.operations.capacity.values import CapacitySample
from faregate.analytics.insights.series import Series, SeriesReader, complete_range, periods_ahead
from faregate.analytics.insights.values import Ask, Evidence, Insight, InsightKind, InsightResult
from faregate.analytics.question.calendar import period_at
from faregate.analytics.question.filters import Question, TimeRange
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.values.time_zones import time_zone

__all__ = ["LEAST_REQUESTS", "CapacityService"]

LEAST_REQUESTS = 1000
"""With fewer requests ever, a request has no measured cost."""

_HISTORY_DAYS = 730
_HORIZON = 92
_COMPARED_DAYS, _COMPARED_AFTER = 60, timedelta(hours=12)
_PACE_DAYS = 28
_BYTES, _MS = Decimal("0.1"), Decimal("0.0001")
_GROWS = 12
"""How many tables the answer lists, the largest first."""


@dataclass(frozen=True, slots=True)
class _Basis:
    """The counters that a cost is measured from: those of an earlier result, or zero at the beginning."""

    since: datetime | None
    requests: int
    bytes: int
    rows: int
    active_ms: Decimal


class CapacityService:
    """Measures what a request costs the database, and forecasts its growth; results are kept, one a day."""

    def __init__(
        self,
        database: Database,
        repository: CapacityRepository,
        reader: SeriesReader,
        keeper: InsightKeeper,
        clock: IClock,
    ) -> None:
        self._database = database
        self._repository = repository
        self._reader = reader
        self._keeper = keeper
        self._clock = clock

    async def capacity(self, timezone: str = "UTC") -> Insight:
        """Return bytes, rows and execution time of a request, and the requests of the days to come.

        `full_dates` derives from it when a limit is reached.

        Args:
            timezone: of the days.

        Raises:
            MissingExtraError: it must be computed, but the extra `insights` is not installed.
        """
        now = self._clock.now()
        question = Question(TimeRange(now - timedelta(days=1), now, timezone))
        ask = ask_of(InsightKind.CAPACITY, question)
        today = period_at(now, "day", time_zone(timezone))
        return await self._keeper.current(ask, lambda: self._compute(ask, question), made_since=today)

    async def _compute(self, ask: Ask, question: Question) -> InsightResult:
        now = self._clock.now()
        asked = complete_range(question, "day", now=now, count=_HISTORY_DAYS)
        series = (await self._reader.series(asked, "day")).since_first_use()
        (running,) = (
            await self._reader.series(Question(TimeRange(asked.range.end, now, asked.range.timezone)), "day")
        ).measures
        requests = sum(each.requests for each in series.measures) + running.requests
        async with self._database.transaction(read_only=True) as session:
            sample = await self._repository.sample(session, now=now)
        if requests < LEAST_REQUESTS:
            return InsightResult(False, _evidence(asked, sample, requests, None, None), {})
        basis = await self._basis(ask, sample, requests)
        ahead, lack = await self._ahead(asked, series)
        answer = {**_measured(sample, requests, basis), "pace": _pace(series), "growth": ahead}
        return InsightResult(True, _evidence(asked, sample, requests, basis, lack), answer)

    async def _basis(self, ask: Ask, sample: CapacitySample, requests: int) -> _Basis:
        """Return the counters of the oldest comparable result of the last days, so that old data and resets do not count."""
        kept = await self._keeper.earlier(ask, days=_COMPARED_DAYS, limit=_COMPARED_DAYS)
        for each in reversed(kept):
            basis = _basis_of(each)
            grown = basis.bytes < sample.own_bytes and basis.active_ms <= sample.active_ms
            if grown and requests - basis.requests >= LEAST_REQUESTS and each.made_at <= sample.at - _COMPARED_AFTER:
                return basis
        return _Basis(None, 0, 0, 0, Decimal(0))

    async def _ahead(self, asked: Question, series: Series) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """Return the requests of the days to come, or what the history lacks for them."""
        values = [Decimal(each.requests) for each in series.measures]
        horizon = max(1, min(_HORIZON, len(values) // 3))
        lack = shortage(values, "day", horizon)
        if lack is not None:
            return [], lack
        zone = asked.range.timezone
        days = periods_ahead(asked.range.end, "day", zone, horizon)
        found = await asyncio.to_thread(forecast_series, series.periods, values, days, "day", time_zone(zone))
        if found is None:
            return [], "the series is too short for a back-test"
        return [asdict(point) for point in found.points], None


def _basis_of(kept: Insight) -> _Basis:
    answer = kept.result.answer
    return _Basis(
        kept.made_at,
        int(answer["requests"]),
        int(answer["own_bytes"]),
        int(answer["rows"]),
        Decimal(answer["active_ms"]),
    )


def _measured(sample: CapacitySample, requests: int, basis: _Basis) -> Mapping[str, Any]:
    count = requests - basis.requests
    return {
        "bytes": sample.bytes,
        "own_bytes": sample.own_bytes,
        "rows": sample.rows,
        "requests": requests,
        "active_ms": sample.active_ms,
        "measured_since": basis.since,
        "bytes_per_request": (Decimal(sample.own_bytes - basis.bytes) / count).quantize(_BYTES),
        "rows_per_request": (Decimal(max(0, sample.rows - basis.rows)) / count).quantize(_MS),
        "active_ms_per_request": ((sample.active_ms - basis.active_ms) / count).quantize(_MS),
        "tables": [asdict(table) for table in sample.tables[:_GROWS]],
    }


def _pace(series: Series) -> Decimal | None:
    """Return the mean requests of a day in the last four weeks."""
    last = series.measures[-_PACE_DAYS:]
    return (Decimal(sum(each.requests for each in last)) / len(last)).quantize(_BYTES) if last else None


def _evidence(
    asked: Question, sample: CapacitySample, requests: int, basis: _Basis | None, lack: str | None
) -> Evidence:
    limits = [
        "sizes include indexes and free space within tables; rows are PostgreSQL's estimates",
        "execution time is of all statements, reads and this report included; it is no processor time",
        "the price of a request is what it adds: retention and archives that free space are not foreseen",
    ]
    if basis is None:
        limits.insert(0, f"{requests} requests so far; needs {LEAST_REQUESTS}")
    elif basis.since is None:
        limits.append(
            "measured from all data so far, catalogues and setup included; from the second day on only what was added counts"
        )
        if sample.counted_since is not None:
            limits.append(
                f"execution time counts from {sample.counted_since:%Y-%m-%d %H:%M} UTC, the last reset of the statistics"
            )
    if lack is not None:
        limits.append(f"no growth is forecast: {lack}")
    if asked.omissions.note is not None:
        limits.append(asked.omissions.note)
    return Evidence(
        method="sizes and execution time from PostgreSQL's statistics, divided by the requests of the same time; growth by the "
        "forecast of requests a day"
        if basis is not None
        else "none: not enough requests",
        sample=requests,
        sampled="requests",
        start=asked.range.start,
        end=sample.at,
        uncertainty="a limit's earliest and latest dates take the 80 % bound of every day at once, which is wider than 80 %",
        limits=tuple(limits),
    )
