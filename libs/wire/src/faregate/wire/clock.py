"""System clock."""

import time
from datetime import UTC, datetime

__all__ = ["monotonic_seconds", "now", "unix_milliseconds"]


def monotonic_seconds() -> float:
    """Return seconds since an arbitrary start; the value never decreases."""
    return time.monotonic()


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def unix_milliseconds() -> int:
    """Return milliseconds since 1970, for time-ordered ids."""
    return time.time_ns() // 1_000_000
