"""The only module of the client that asks the time."""

import time
from datetime import UTC, datetime

__all__ = ["monotonic_seconds", "now", "unix_milliseconds"]


def monotonic_seconds() -> float:
    """Return seconds from an arbitrary start that never run backwards."""
    return time.monotonic()


def unix_milliseconds() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)
