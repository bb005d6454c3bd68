"""Calendar periods of quotas in their time zones. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from faregate.analytics.question.calendar import next_period, period_at
from faregate.core.values.time_zones import time_zone

__all__ = ["QuotaPeriod", "Window", "check_timezone", "window_at"]


class QuotaPeriod(StrEnum):
    """The length of the period after which a quota begins again."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open interval `start` ≤ t < `end`, in UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


def check_timezone(name: str, *, param: str = "timezone") -> str:
    """Return `name` if it is an IANA time zone, else raise `InvalidError` naming `param`."""
    return time_zone(name, param=param).key


def window_at(period: QuotaPeriod, moment: datetime, timezone: str = "UTC") -> Window:
    """Return the period that contains `moment`: day, week (from Monday), month … by the local time of the zone.

    Boundaries are those of `faregate.analytics.question.calendar`; a day with a clock change is 23 or 25
    hours long here, too.
    """
    zone = time_zone(timezone)
    start = period_at(moment, period.value, zone)
    return Window(start, next_period(start, period.value, zone))
