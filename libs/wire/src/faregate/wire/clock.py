"""Unix time in milliseconds, read in one place."""

import time

__all__ = ["unix_milliseconds"]


def unix_milliseconds() -> int:
    """Return milliseconds since 1970, for time-ordered ids."""
    return time.time_ns() // 1_000_000
