"""Periods of a range in a time zone: hours, days, weeks and months that begin where people's clocks say so. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from faregate.analytics.filters import TimeRange
from faregate.core.errors import InvalidError

__all__ = ["PERIODS_LIMIT", "Unit", "periods_of"]

Unit = Literal["hour", "day", "week", "month"]
PERIODS_LIMIT = 10_000


@lru_cache(maxsize=64)
def periods_of(span: TimeRange, unit: Unit) -> tuple[datetime, ...]:
    """Return the beginnings (UTC) of all periods that `span` touches, in order.

    Raises:
        InvalidError: there are more than 10,000.
    """
    zone = ZoneInfo(span.timezone)
    period = _first(span.start.astimezone(zone), unit, zone)
    periods: list[datetime] = []
    while period < span.end:
        if len(periods) == PERIODS_LIMIT:
            raise InvalidError(
                f"more than {PERIODS_LIMIT} periods; ask for a shorter range or a longer unit", param="groupBy"
            )
        periods.append(period)
        period = _next(period, unit, zone)
    return tuple(periods)


def _first(moment: datetime, unit: Unit, zone: ZoneInfo) -> datetime:
    if unit == "hour":
        return moment.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    day = moment.date()
    if unit == "week":
        day -= timedelta(days=day.weekday())
    return _midnight(day.replace(day=1) if unit == "month" else day, zone)


def _next(period: datetime, unit: Unit, zone: ZoneInfo) -> datetime:
    if unit == "hour":
        return period + timedelta(hours=1)
    day = period.astimezone(zone).date()
    if unit == "month":
        return _midnight((day + timedelta(days=31)).replace(day=1), zone)
    return _midnight(day + timedelta(days=7 if unit == "week" else 1), zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
