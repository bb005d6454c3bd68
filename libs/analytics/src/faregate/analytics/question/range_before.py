"""Comparison with the period before, over equal elapsed time. Pure."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from faregate.analytics.question.filters import TimeRange
from faregate.core.values.time_zones import time_zone

__all__ = ["range_before", "until_now"]


def until_now(span: TimeRange, *, now: datetime) -> datetime:
    """Return the end of the part of `span` that has elapsed; a range that has not begun counts as a whole."""
    return min(span.end, now) if now > span.start else span.end


def range_before(span: TimeRange, *, now: datetime) -> TimeRange:
    """Return the range that `span` is compared with: the one directly before it, of which as much has elapsed.

    Whole months are compared with the months before, ranges of whole days with as many days by the calendar of the zone, all
    others with the same length of time.
    """
    zone = time_zone(span.timezone)
    start = _start_before(span, zone)
    elapsed = until_now(span, now=now)
    if elapsed == span.end:
        return TimeRange(start, span.start, span.timezone)
    gone = elapsed.astimezone(zone).replace(tzinfo=None) - span.start.astimezone(zone).replace(tzinfo=None)
    end = (start.astimezone(zone).replace(tzinfo=None) + gone).replace(tzinfo=zone).astimezone(UTC)
    return TimeRange(start, max(min(end, span.start), start + timedelta(microseconds=1)), span.timezone)


def _start_before(span: TimeRange, zone: ZoneInfo) -> datetime:
    first, last = span.start.astimezone(zone), span.end.astimezone(zone)
    if first.time() != time() or last.time() != time():
        return span.start - (span.end - span.start)
    if first.day == last.day == 1:
        months = (last.year - first.year) * 12 + last.month - first.month
        count = first.year * 12 + first.month - 1 - months
        return first.replace(year=count // 12, month=count % 12 + 1, fold=0).astimezone(UTC)
    days = (last.date() - first.date()).days
    return datetime.combine(first.date() - timedelta(days=days), time(), zone).astimezone(UTC)
