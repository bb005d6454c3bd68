"""Counters of reads by the server that answered them."""

from collections.abc import Callable

__all__ = ["ReadMetrics"]

Listener = Callable[[str, str], None]


class ReadMetrics:
    """Tells its listeners which server answered a read, and why the primary did."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener` for each read that was declared for a replica."""
        self._listeners.append(listener)

    def count(self, answered_by: str, why: str = "") -> None:
        """Count one read: `replica`, or `primary` because the replica is `behind`, `unavailable` or in `conflict`."""
        for listener in self._listeners:
            listener(answered_by, why)
