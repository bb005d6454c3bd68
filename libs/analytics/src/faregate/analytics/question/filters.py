"""Questions: a time range and filters.

The range is half-open; facts must match all filters.
"""

from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from faregate.analytics.question.omissions import Omissions
from faregate.core.errors import InvalidError
from faregate.core.values.moments import check_moment
from faregate.core.values.time_zones import time_zone
from faregate.wire.ids import ORGANIZATION_PREFIX

__all__ = ["DEFAULT_DAYS", "Filters", "Question", "SpelledFilters", "TimeRange", "time_range"]


DEFAULT_DAYS = 30
_LONGEST = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `start` (included) to `end` (not included); `timezone` determines the starts of days, weeks and months."""

    start: datetime
    end: datetime
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Filters:
    """The values that facts must have; None means any value. `status` is `success`, `error` or a code such as `429`."""

    service: str | None = None
    model: str | None = None
    provider: str | None = None
    feature: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    country: str | None = None
    device: str | None = None
    meter: str | None = None
    status: str | None = None

    def __post_init__(self) -> None:
        status = self.status
        if status is not None and status not in {"success", "error"} and not (status.isdecimal() and len(status) == 3):
            raise InvalidError("status must be 'success', 'error' or a code such as 429", param="status")

    @property
    def given(self) -> dict[str, str]:
        """The filters that are set, by name."""
        return {name: value for name in _FILTERS if (value := getattr(self, name)) is not None}

    @property
    def spelled(self) -> dict[str, list[str]]:
        """All spellings of the filtered model and provider; here only the given ones."""
        given = {"model": self.model, "provider": self.provider}
        return {name: [value] for name, value in given.items() if value is not None}

    @property
    def organization_owner(self) -> str | None:
        """The owner id of the organisation."""
        return ORGANIZATION_PREFIX + self.organization_id if self.organization_id is not None else None


_FILTERS = tuple(f.name for f in fields(Filters))


@dataclass(frozen=True, slots=True)
class SpelledFilters(Filters):
    """Filters with all spellings of their model and their provider in the facts; without any, the given ones apply."""

    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    @property
    def spelled(self) -> dict[str, list[str]]:
        """All spellings of the filtered model and provider."""
        given = {"model": (self.model, self.models), "provider": (self.provider, self.providers)}
        return {name: list(all_of or (one,)) for name, (one, all_of) in given.items() if one is not None}


@dataclass(frozen=True, slots=True)
class Question:
    """A question; after it is answered, `omissions` says what was left out of the answers."""

    range: TimeRange
    filters: Filters = Filters()
    omissions: Omissions = field(default_factory=Omissions, compare=False)


def time_range(start: str | None, end: str | None, timezone: str, *, now: datetime) -> TimeRange:
    """Return the range of two texts, each a date (its midnight in `timezone`) or a time with or without offset.

    Without an end it ends at the next midnight, without a start it begins 30 days before its end.

    Raises:
        InvalidError: not a date or time, not a time zone, empty, or longer than ten years.
    """
    zone = time_zone(timezone)
    last = _moment(end, zone, "endDate") if end else _midnight(now.astimezone(zone).date() + timedelta(days=1), zone)
    if start:
        first = _moment(start, zone, "startDate")
    else:
        first = _midnight((last.astimezone(zone) - timedelta(days=DEFAULT_DAYS)).date(), zone)
    if not first < last:
        raise InvalidError("startDate must be before endDate, which is not included", param="startDate")
    if last - first > _LONGEST:
        raise InvalidError("the range must not be longer than ten years", param="startDate")
    return TimeRange(first, last, timezone)


def _moment(text: str, zone: ZoneInfo, param: str) -> datetime:
    try:
        if len(text) == len("2026-01-31"):
            return check_moment(_local_midnight(date.fromisoformat(text), zone), param=param)
        moment = datetime.fromisoformat(text)
        return check_moment(moment if moment.tzinfo else moment.replace(tzinfo=zone), param=param)
    except ValueError:
        raise InvalidError(
            f"{param} must be a date or a time, such as 2026-01-31 or 2026-01-31T12:00:00Z", param=param
        ) from None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return _local_midnight(day, zone).astimezone(UTC)


def _local_midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
