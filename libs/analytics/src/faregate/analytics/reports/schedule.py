"""Due times of reports and the periods that they are about. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from faregate.analytics.question.filters import TimeRange
from faregate.analytics.reports.values import ReportKind, ReportSpec
from faregate.core.values.time_zones import time_zone

__all__ = ["last_due", "next_due", "period_before", "period_of_day"]

_DAY = timedelta(days=1)


def next_due(spec: ReportSpec, after: datetime) -> datetime:
    """Return the first time later than `after` at which a report is due, in UTC.

    An hour that the clocks skip is taken as the hour after it; of an hour that occurs twice, the first counts.
    """
    zone = time_zone(spec.timezone)
    day = _sending_day(spec, after.astimezone(zone).date())
    while (due := _at(day, spec.hour, zone)) <= after:
        day = _following(spec, day)
    return due


def last_due(spec: ReportSpec, now: datetime) -> datetime:
    """Return the last time up to `now` at which a report was due, in UTC."""
    zone = time_zone(spec.timezone)
    day = _sending_day(spec, now.astimezone(zone).date())
    while (due := _at(day, spec.hour, zone)) > now:
        day = _sending_day(spec, day - _DAY)
    return due


def period_before(spec: ReportSpec, due: datetime) -> TimeRange:
    """Return the period that the report due at `due` is about: whole days in the zone of the subscription."""
    zone = time_zone(spec.timezone)
    day = due.astimezone(zone).date()
    if spec.kind is ReportKind.MONTHLY:
        first = day.replace(day=1)
        return _range((first - _DAY).replace(day=1), first, zone, spec.timezone)
    days = 7 if spec.kind is ReportKind.WEEKLY else 1
    return _range(day - timedelta(days=days), day, zone, spec.timezone)


def period_of_day(spec: ReportSpec, day: date) -> TimeRange:
    """Return the period that contains `day`, as a report of this subscription would be about it."""
    zone = time_zone(spec.timezone)
    if spec.kind is ReportKind.MONTHLY:
        first = day.replace(day=1)
        return _range(first, (first + timedelta(days=31)).replace(day=1), zone, spec.timezone)
    first = _sending_day(spec, day)
    return _range(first, first + timedelta(days=7 if spec.kind is ReportKind.WEEKLY else 1), zone, spec.timezone)


def _sending_day(spec: ReportSpec, day: date) -> date:
    """Return the last day up to `day` on which the report is sent."""
    if spec.kind is ReportKind.WEEKLY:
        return day - timedelta(days=(day.isoweekday() - spec.weekday) % 7)
    if spec.kind is ReportKind.DAILY:
        return day
    this_month = day.replace(day=spec.month_day)
    return this_month if this_month <= day else (day.replace(day=1) - _DAY).replace(day=spec.month_day)


def _following(spec: ReportSpec, day: date) -> date:
    if spec.kind is ReportKind.MONTHLY:
        return (day.replace(day=1) + timedelta(days=31)).replace(day=spec.month_day)
    return day + timedelta(days=7 if spec.kind is ReportKind.WEEKLY else 1)


def _range(first: date, end: date, zone: ZoneInfo, name: str) -> TimeRange:
    return TimeRange(_at(first, 0, zone), _at(end, 0, zone), name)


def _at(day: date, hour: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(hour), zone).astimezone(UTC)
