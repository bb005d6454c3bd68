"""Retry with jitter; circuit breaker."""

import random
from dataclasses import dataclass

from faregate.wire.clock import monotonic_seconds

__all__ = ["RETRIED_STATUSES", "CircuitBreaker", "Retry"]

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Retry:
    """Limits on the repetition of failed calls. All calls are idempotent, so that repeating them is safe.

    Attributes:
        attempts: maximum number of attempts, the first one included.
        base_seconds: base of the exponential backoff.
        cap_seconds: upper bound on one pause.
        total_seconds: time limit of one call with all its repetitions and pauses.
    """

    attempts: int = 4
    base_seconds: float = 0.1
    cap_seconds: float = 2.0
    total_seconds: float = 20.0

    def pause_seconds(self, attempt: int, *, retry_after_seconds: float | None = None) -> float:
        """Return the pause after failed attempt number `attempt`: full jitter, added to `retry_after_seconds`."""
        ceiling = min(self.cap_seconds, self.base_seconds * 2**attempt)
        return (retry_after_seconds or 0.0) + random.uniform(0, ceiling)  # noqa: S311  jitter, not cryptography


class CircuitBreaker:
    """Rejects calls for `rest_seconds` after `failures` consecutive failures, then admits one trial call.

    Without it, each request of the host would wait for the whole time-out while the gateway is down.
    """

    def __init__(self, *, failures: int = 5, rest_seconds: float = 2.0) -> None:
        self._limit = failures
        self._rest_seconds = rest_seconds
        self._failed = 0
        self._open_until = 0.0

    def admits(self) -> bool:
        """Return whether a call may be made; after `rest_seconds`, only the first caller is admitted."""
        if self._failed < self._limit:
            return True
        now = monotonic_seconds()
        if now < self._open_until:
            return False
        self._open_until = now + self._rest_seconds
        return True

    def succeeded(self) -> None:
        """Record that the gateway answered; this closes the circuit."""
        self._failed = 0

    def failed(self) -> None:
        """Record that the gateway did not answer."""
        self._failed += 1
        if self._failed >= self._limit:
            self._open_until = monotonic_seconds() + self._rest_seconds
