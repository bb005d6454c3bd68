"""Cache hit and miss counters, by cache name."""

from collections.abc import Callable

__all__ = ["CacheMetrics"]

Listener = Callable[[str, bool], None]


class CacheMetrics:
    """Reports each cache lookup to its listeners, such as the metrics of a gateway."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener(name, hit)` at each lookup from now on."""
        self._listeners.append(listener)

    def count(self, name: str, *, hit: bool) -> None:
        """Report one lookup in the cache `name`."""
        for listener in self._listeners:
            listener(name, hit)
