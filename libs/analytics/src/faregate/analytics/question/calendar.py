"""Calendar periods in a time zone. Pure.

The periods are quarter-hours, hours, days, weeks, months, quarters and years. All period starts are computed here and passed
to SQL, because PostgreSQL may have time zone data of another release, and resolves a midnight that occurs twice differently.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from faregate.analytics.question.filters import TimeRange
from faregate.core.errors import InvalidError
from faregate.core.values.time_zones import time_zone

__all__ = ["PERIODS_LIMIT", "LongUnit", "Unit", "next_period", "period_at", "periods_of"]

Unit = Literal["quarter-hour", "hour", "day", "week", "month"]
LongUnit = Literal["quarter-hour", "hour", "day", "week", "month", "quarter", "year"]
PERIODS_LIMIT = 10_000
_HOUR = timedelta(hours=1)
_QUARTER_HOUR = timedelta(minutes=15)
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


@lru_cache(maxsize=64)
def periods_of(span: TimeRange, unit: Unit) -> tuple[datetime, ...]:
    """Return the starts (UTC) of all periods that `span` touches, in order; each period ends at the start of the next one.

    Raises:
        InvalidError: there are more than 10,000.
    """
    zone = time_zone(span.timezone)
    period = period_at(span.start, unit, zone)
    periods: list[datetime] = []
    while period < span.end:
        if len(periods) == PERIODS_LIMIT:
            raise InvalidError(
                f"more than {PERIODS_LIMIT} periods; choose a shorter range or a longer unit", param="groupBy"
            )
        periods.append(period)
        period = next_period(period, unit, zone)
    return tuple(periods)


def period_at(moment: datetime, unit: LongUnit, zone: ZoneInfo) -> datetime:
    """Return the start of the period that contains `moment`, in UTC.

    A day begins at the first of two midnights, or at the clock change if midnight is skipped. An hour begins at minute 00,
    or at the clock change if that is skipped; if the clock goes back by less than an hour, the hour is longer.
    """
    if unit == "quarter-hour":  # every offset in use today is a multiple of it, so that the zone does not matter
        at = moment.astimezone(UTC)
        return at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
    local = moment.astimezone(zone)
    if unit == "hour":
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    return _midnight(_first_day(local.date(), unit), zone)


def next_period(period: datetime, unit: LongUnit, zone: ZoneInfo) -> datetime:
    """Return the start of the period after the one that begins at `period`, in UTC."""
    if unit == "quarter-hour":
        return period + _QUARTER_HOUR
    if unit == "hour":
        later = period_at(period + _HOUR, unit, zone)
        return later if later > period else period_at(period + 2 * _HOUR, unit, zone)
    day = period.astimezone(zone).date()
    months = _MONTHS.get(unit)
    if months is None:
        return _midnight(day + timedelta(days=7 if unit == "week" else 1), zone)
    count = day.year * 12 + day.month - 1 + months
    return _midnight(day.replace(year=count // 12, month=count % 12 + 1, day=1), zone)


def _first_day(day: date, unit: LongUnit) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "day":
        return day
    months = _MONTHS[unit]
    return day.replace(month=(day.month - 1) // months * months + 1, day=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
