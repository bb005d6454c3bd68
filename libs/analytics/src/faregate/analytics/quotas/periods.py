"""Which stretch of time a quota counts over: calendar periods in the quota's own time zone. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from faregate.core.errors import InvalidError

__all__ = ["Period", "Window", "check_timezone", "window_at"]


class Period(StrEnum):
    """How long a quota counts before it begins again."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open stretch `start` ≤ t < `end`, in UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


def check_timezone(name: str, *, param: str = "timezone") -> str:
    """Return `name` if it is an IANA time zone, else raise `InvalidError` naming `param`."""
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError) as error:
        raise InvalidError(f"{param} must be an IANA time zone such as Europe/Berlin or UTC", param=param) from error


def window_at(period: Period, moment: datetime, timezone: str = "UTC") -> Window:
    """Return the period that holds `moment`: days, weeks (from Monday), months … as the wall clock there has them.

    An hour is an hour of UTC where the zone is whole hours away; a day that a clock change makes 23 or 25 hours long is
    that long here, too.
    """
    zone = ZoneInfo(timezone)
    if period is Period.HOUR:
        return _hour(moment, zone)
    first = _first_day(period, moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None))
    return Window(_utc(first, zone), _utc(_next(period, first), zone))


def _hour(moment: datetime, zone: ZoneInfo) -> Window:
    local = moment.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    start = moment.astimezone(UTC) - past
    return Window(start, start + timedelta(hours=1))


def _first_day(period: Period, day: datetime) -> datetime:
    if period is Period.WEEK:
        return day - timedelta(days=day.weekday())
    if period is Period.MONTH:
        return day.replace(day=1)
    if period is Period.QUARTER:
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day.replace(month=1, day=1) if period is Period.YEAR else day


_MONTHS = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}


def _next(period: Period, first: datetime) -> datetime:
    months = _MONTHS.get(period)
    if months is None:
        return first + timedelta(days=7 if period is Period.WEEK else 1)
    count = first.year * 12 + first.month - 1 + months
    return first.replace(year=count // 12, month=count % 12 + 1)


def _utc(wall: datetime, zone: ZoneInfo) -> datetime:
    return wall.replace(tzinfo=zone).astimezone(UTC)
