"""Values of the columnar copy."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

__all__ = ["CopiedFile", "CopyStatus", "micros", "moment_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A file of the copy: facts of one month, from `first_at` to `last_at` (included)."""

    file_id: UUID
    month: date
    facts: int
    bytes: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class CopyStatus:
    """How far the copy reaches: its months, files and facts, the facts that wait to be copied, and when it last moved on."""

    place: str
    months: int
    files: int
    bytes: int
    facts: int
    waiting: int
    copied_at: datetime | None


def micros(moment: datetime) -> int:
    """Return the microseconds from 1970 to `moment` (aware), exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """Return the moment (UTC) so many microseconds after 1970, exactly."""
    return _EPOCH + timedelta(microseconds=microseconds)
