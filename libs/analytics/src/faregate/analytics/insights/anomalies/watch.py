"""Unusual hours among the newest of a series, by measure. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from faregate.analytics.insights.anomalies.detector import (
    DAILY_CYCLES,
    FACTOR,
    LEAST_VALUES,
    WEEKLY_CYCLES,
    Season,
    deviations,
)
from faregate.analytics.insights.anomalies.values import AnomalyMeasure, AnomalyScope, Suspect, Watched
from faregate.analytics.insights.numeric import as_vector
from faregate.analytics.values import Measures

__all__ = ["LEAST_REQUESTS", "SEASONS", "suspects"]

SEASONS = (Season(24, *DAILY_CYCLES), Season(168, *WEEKLY_CYCLES))
"""Hours of the day, and of the week."""

LEAST_REQUESTS = 20
"""Rates, latencies and tokens per request of hours with fewer requests say nothing: the last known one stands in for them."""

_QUANTUM = Decimal("0.000001")
_LEAST: Mapping[AnomalyMeasure, float] = {
    AnomalyMeasure.SPEND: 1.0,
    AnomalyMeasure.COST: 0.01,
    AnomalyMeasure.ERRORS: 0.02,
    AnomalyMeasure.LATENCY: 50.0,
    AnomalyMeasure.TOKENS: 20.0,
}
"""No smaller deviation is worth a report: credits, USD, fraction of requests, milliseconds, tokens."""

_UP_ONLY = frozenset({AnomalyMeasure.ERRORS, AnomalyMeasure.LATENCY})


def suspects(
    watched: Watched,
    periods: Sequence[datetime],
    measures: Sequence[Measures],
    *,
    newest: int,
    zone: ZoneInfo,
    special: Collection[date] = (),
) -> list[Suspect]:
    """Return the unusual hours of each measure among the `newest` hours; `periods` are consecutive and complete.

    On special days less than usual is usual.
    """
    if len(periods) < LEAST_VALUES:
        return []
    return [
        each for name in AnomalyMeasure for each in _suspects(watched, name, periods, measures, newest, zone, special)
    ]


def _suspects(
    watched: Watched,
    measure: AnomalyMeasure,
    periods: Sequence[datetime],
    measures: Sequence[Measures],
    newest: int,
    zone: ZoneInfo,
    special: Collection[date],
) -> list[Suspect]:
    known = [_READ[measure](sums) for sums in measures]
    places = range(len(periods) - newest, len(periods))
    if not any(known[place] or _falls_count(watched, measure, special=False) for place in places):
        return []
    values = as_vector(list(_filled(known)))
    off = deviations(values, SEASONS, least_limit=_LEAST[measure])
    found: list[Suspect] = []
    for place in places:
        own = float(values[place] - off.reference[place])
        is_special = periods[place].astimezone(zone).date() in special
        if known[place] is None or (own < 0 and not _falls_count(watched, measure, special=is_special)):
            continue
        agrees = own * float(off.deviation[place]) > 0 and abs(own) >= float(
            off.limit[place]
        )  # else it was an hour before
        if float(off.score[place]) >= FACTOR and agrees:
            start = periods[place]
            amounts = (values[place], off.reference[place], off.limit[place])
            found.append(Suspect(watched, measure, start, start + timedelta(hours=1), *map(_exact, amounts)))
    return found


def _falls_count(watched: Watched, measure: AnomalyMeasure, *, special: bool) -> bool:
    """Tell whether less than usual is unusual. Of one user it is no news: people pause."""
    return measure not in _UP_ONLY and not special and watched.scope is not AnomalyScope.USER


def _filled(values: Iterable[Decimal | None]) -> Iterable[Decimal]:
    last = Decimal(0)
    for value in values:
        last = last if value is None else value
        yield last


def _per_request(sums: Measures, amount: int | Decimal) -> Decimal | None:
    return Decimal(amount) / sums.requests if sums.requests >= LEAST_REQUESTS else None


def _latency(sums: Measures) -> Decimal | None:
    return sums.average_latency_ms if sums.latency_count >= LEAST_REQUESTS else None


_READ: Mapping[AnomalyMeasure, Callable[[Measures], Decimal | None]] = {
    AnomalyMeasure.SPEND: lambda sums: sums.total_credits,
    AnomalyMeasure.COST: lambda sums: sums.cost_usd,
    AnomalyMeasure.ERRORS: lambda sums: _per_request(sums, sums.errors),
    AnomalyMeasure.LATENCY: _latency,
    AnomalyMeasure.TOKENS: lambda sums: _per_request(sums, sums.tokens),
}


def _exact(value: float) -> Decimal:
    return Decimal(str(float(value))).quantize(_QUANTUM)
