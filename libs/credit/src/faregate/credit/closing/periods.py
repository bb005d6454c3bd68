"""Months that are closed, and their bounds in a time zone. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from faregate.core.errors import InvalidError

__all__ = ["OPENING", "ClosingMonth", "parse_month"]

OPENING = "opening"
"""Name of the close before the first month, which holds everything that was posted earlier."""

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_FIRST_YEAR, _LAST_YEAR = 1971, 2199


@dataclass(frozen=True, slots=True, order=True)
class ClosingMonth:
    """A calendar month."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def next(self) -> "ClosingMonth":
        """The month after this one."""
        return ClosingMonth(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def last_day(self) -> date:
        """The last day, which is the date of the month's journal lines."""
        following = self.next
        return date(following.year, following.month, 1) - timedelta(days=1)

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the first moment of the month and of the next one in this zone, in UTC."""
        return _first_moment(self, zone), _first_moment(self.next, zone)


def parse_month(text: str, *, param: str = "period") -> ClosingMonth:
    """Return the month of a text such as `2026-10`.

    Raises:
        InvalidError: it is not a month from 1971 to 2199.
    """
    found = _MONTH.fullmatch(text)
    if found is None or not _FIRST_YEAR <= int(found[1]) <= _LAST_YEAR:
        raise InvalidError(f"{param} {text[:40]!r} is not a month; write it as 2026-10", param=param)
    return ClosingMonth(int(found[1]), int(found[2]))


def _first_moment(month: ClosingMonth, zone: ZoneInfo) -> datetime:
    return datetime.combine(date(month.year, month.month, 1), time(), zone).astimezone(UTC)
