"""Quiet hours, in which alerts of anomalies wait. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from faregate.core.errors import InvalidError

__all__ = ["QuietHours", "quiet_hours"]

_FORM = re.compile(r"(\d{1,2})(?::(\d\d))?\s*-\s*(\d{1,2})(?::(\d\d))?")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begins` to `ends`, local time of `zone`; over midnight if it ends before it begins."""

    begins: time
    ends: time
    zone: ZoneInfo

    def end_after(self, moment: datetime) -> datetime:
        """Return `moment`, or the end of the quiet hours that contain it."""
        local = moment.astimezone(self.zone)
        at = local.time()
        over_night = self.ends <= self.begins
        quiet = (at >= self.begins or at < self.ends) if over_night else self.begins <= at < self.ends
        if not quiet:
            return moment
        day = local.date() + timedelta(days=1 if over_night and at >= self.begins else 0)
        return datetime.combine(day, self.ends, self.zone).astimezone(UTC)


def quiet_hours(text: str, zone: ZoneInfo) -> QuietHours | None:
    """Return the quiet hours of a text such as `22-7` or `21:30-06:30`; None if it is empty.

    Raises:
        InvalidError: the text has another form, or begins when it ends.
    """
    if not text.strip():
        return None
    match = _FORM.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        begins, ends = (time(int(match[at]), int(match[at + 1] or 0)) for at in (1, 3))
        if begins == ends:
            raise ValueError(text)
    except ValueError:
        raise InvalidError("quiet hours must be two different times, such as 22-7 or 21:30-06:30") from None
    return QuietHours(begins, ends, zone)
