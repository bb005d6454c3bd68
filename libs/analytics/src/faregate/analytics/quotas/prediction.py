"""Prediction of when a quota runs out. Pure.

Method: two paces, the pace of the whole period so far and that of its latest quarter. Their mean gives the date, the two
paces give the range around it. Week-ends and seasons are not considered; early in a period (less than a twentieth of it, or
15 minutes) there is no prediction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from faregate.analytics.quotas.periods import Window

__all__ = ["Prediction", "predict", "recent_start"]

_RECENT_SHARE = 4
_LEAST_SHARE = 20
_LEAST_TIME = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The expected use of a quota within its period.

    Attributes:
        projected: use at the end of the period, at the mean pace.
        per_day: the mean pace.
        runs_out_at: when the limit is reached at the mean pace; None if not before the period ends.
        earliest_at, latest_at: the same at the faster and at the slower pace.
    """

    projected: Decimal
    per_day: Decimal
    runs_out_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None


def recent_start(window: Window, now: datetime) -> datetime:
    """Return the start of the latest quarter of the elapsed part of `window`."""
    return now - (now - window.start) / _RECENT_SHARE


def predict(window: Window, now: datetime, *, used: Decimal, recent: Decimal, limit: Decimal) -> Prediction | None:
    """Return when `limit` will be reached; None if it is too early for a prediction.

    `used` counts from the window's start and `recent` from `recent_start`, both until `now`.
    """
    elapsed = now - window.start
    if used <= 0 or elapsed < max(window.length / _LEAST_SHARE, _LEAST_TIME) or now >= window.end:
        return None
    whole_pace = used / _seconds(elapsed)
    recent_pace = max(recent, Decimal(0)) * _RECENT_SHARE / _seconds(elapsed)
    pace = (whole_pace + recent_pace) / 2
    left = limit - used

    def runs_out(at_pace: Decimal) -> datetime | None:
        return _reached(now, window.end, left, at_pace)

    return Prediction(
        projected=(used + pace * _seconds(window.end - now)).quantize(Decimal("0.000001")),
        per_day=(pace * 86_400).quantize(Decimal("0.000001")),
        runs_out_at=runs_out(pace),
        earliest_at=runs_out(max(whole_pace, recent_pace)),
        latest_at=runs_out(min(whole_pace, recent_pace)),
    )


def _reached(now: datetime, end: datetime, left: Decimal, pace: Decimal) -> datetime | None:
    if left <= 0:
        return now
    if pace <= 0 or left >= pace * _seconds(end - now):
        return None
    return now + timedelta(seconds=int(left / pace))


def _seconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1)).scaleb(-6)
