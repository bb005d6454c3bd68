"""Allowed range of moments in input."""

from datetime import UTC, datetime

from faregate.core.errors import InvalidError

__all__ = ["EARLIEST", "LATEST", "PROBLEM", "check_moment", "is_within_bounds", "moment_in"]

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""Within these bounds, a moment can be stored, read, shifted by years and shown in any time zone.

The "zero" and "never" values of other languages (`0001-01-01`, `9999-12-31`) are outside and are refused: leaving the time out has
the same meaning.
"""

PROBLEM = "must be a time from 1970 up to 2200; leave it out for always or never"
_QUOTED = 40


def is_within_bounds(moment: datetime) -> bool:
    """Return whether an aware moment is from 1970 (included) up to 2200 (not included)."""
    return EARLIEST <= moment < LATEST


def check_moment(moment: datetime, *, param: str) -> datetime:
    """Return a moment given by a host, in UTC.

    Raises:
        InvalidError: it has no offset, or is outside the bounds; names `param`.
    """
    if moment.tzinfo is None:
        raise InvalidError(f"{param} lacks its offset; write e.g. 2027-01-31T00:00:00Z", param=param)
    if not is_within_bounds(moment):
        raise InvalidError(f"{param} {PROBLEM}", param=param)
    return moment.astimezone(UTC)


def moment_in(text: str, *, param: str) -> datetime:
    """Return the moment of an ISO 8601 text, in UTC; without an offset it is read as UTC.

    Raises:
        InvalidError: it is not a date or time, or is outside the bounds; names `param`.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidError(
            f"{param} {text[:_QUOTED]!r} is no date or time such as 2027-01-31T00:00:00Z", param=param
        ) from None
    return check_moment(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC), param=param)
