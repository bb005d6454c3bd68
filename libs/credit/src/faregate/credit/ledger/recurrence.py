"""Renewal times of recurring grants.

Renewals are whole calendar steps from the start of the grant, so that a grant of the 31st does not drift to the 28th.
"""

import calendar
import re
from datetime import UTC, datetime, timedelta

from faregate.core.errors import InvalidError

__all__ = ["check_every", "next_renewal", "parse_every", "period_start"]

_EVERY = re.compile(r"^(?:(\d{1,4}) )?(hour|day|week|month|year)s?$")
_MONTHS = {"month": 1, "year": 12}
_LONGEST_YEARS = 100
_SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}


def parse_every(every: str) -> tuple[int, str]:
    """Return count and unit of `every`, for example `"month"` or `"3 days"`.

    Raises:
        InvalidError: `every` does not have that form, or the count is 0.
    """
    match = _EVERY.fullmatch(every)
    count = int(match[1] or 1) if match else 0
    if match is None or count == 0:
        raise InvalidError(
            f"{every!r} is not an interval; use 'day', 'week', 'month', 'year' or for example '3 days'", param="every"
        )
    return count, match[2]


def check_every(every: str) -> None:
    """Raise `InvalidError` unless `every` is an interval of at most 100 years."""
    count, unit = parse_every(every)
    years = {"year": count, "month": count / 12, "week": count / 52, "day": count / 365, "hour": 0}[unit]
    if years > _LONGEST_YEARS:
        raise InvalidError(f"every must be at most {_LONGEST_YEARS} years", param="every")


def next_renewal(start: datetime, every: str, *, after: datetime) -> datetime:
    """Return the first renewal after `after`, in UTC; renewals are `start` plus whole multiples of `every`."""
    count, unit = parse_every(every)
    start, after = start.astimezone(UTC), after.astimezone(UTC)
    if unit in _SPANS:
        span = _SPANS[unit] * count
        return start + span * max(1, (after - start) // span + 1)
    months = count * _MONTHS[unit]
    passed = (after.year - start.year) * 12 + after.month - start.month
    step = max(1, passed // months)
    while (moment := _add_months(start, step * months)) <= after:
        step += 1
    return moment


def period_start(start: datetime, every: str, *, at: datetime) -> datetime:
    """Return the last renewal at or before `at`, in UTC; before `start`, as if renewals extended into the past."""
    count, unit = parse_every(every)
    start, at = start.astimezone(UTC), at.astimezone(UTC)
    if unit in _SPANS:
        span = _SPANS[unit] * count
        return start + span * ((at - start) // span)
    months = count * _MONTHS[unit]
    step = ((at.year - start.year) * 12 + at.month - start.month) // months
    begins = _add_months(start, step * months)
    return begins if begins <= at else _add_months(start, (step - 1) * months)


def _add_months(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)
