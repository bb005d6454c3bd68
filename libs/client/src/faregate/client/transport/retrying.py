"""When to ask again, and when to stop asking for a while. Pure but for the clock and the dice."""

import random
from dataclasses import dataclass

from faregate.wire.clock import monotonic_seconds

__all__ = ["RETRIED_STATUSES", "CircuitBreaker", "Retry"]

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how long: all calls are idempotent, so a repetition after any failure is safe.

    Attributes:
        attempts: the first one included.
        total_seconds: bound on one call with all its repetitions and pauses.
    """

    attempts: int = 4
    base_seconds: float = 0.1
    cap_seconds: float = 2.0
    total_seconds: float = 20.0

    def pause_seconds(self, attempt: int, *, retry_after_seconds: float | None = None) -> float:
        """Return how long to wait after failed attempt number `attempt`: full jitter, and never less than told."""
        ceiling = min(self.cap_seconds, self.base_seconds * 2**attempt)
        return (retry_after_seconds or 0.0) + random.uniform(0, ceiling)  # noqa: S311  spreads callers, hides nothing


class CircuitBreaker:
    """After `failures` failed calls in a row, refuses calls for `rest_seconds`, then lets one try.

    Without it, each of a host's own requests would wait for the whole time-out while the gateway is down.
    """

    def __init__(self, *, failures: int = 5, rest_seconds: float = 2.0) -> None:
        self._limit = failures
        self._rest_seconds = rest_seconds
        self._failed = 0
        self._open_until = 0.0

    def admits(self) -> bool:
        """Tell whether a call may be tried; after a rest, the first to ask is the one that tries."""
        if self._failed < self._limit:
            return True
        now = monotonic_seconds()
        if now < self._open_until:
            return False
        self._open_until = now + self._rest_seconds
        return True

    def succeeded(self) -> None:
        """Note that the gateway answered."""
        self._failed = 0

    def failed(self) -> None:
        """Note that it did not."""
        self._failed += 1
        if self._failed >= self._limit:
            self._open_until = monotonic_seconds() + self._rest_seconds
