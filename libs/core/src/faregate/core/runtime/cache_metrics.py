"""How often memory answered instead of the database: told to whoever counts, by the name of what is kept."""

from collections.abc import Callable

__all__ = ["CacheMetrics"]

Listener = Callable[[str, bool], None]


class CacheMetrics:
    """Passes each look into a cache on to its listeners, such as the metrics of a gateway."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call `listener(name, hit)` at each look from now on."""
        self._listeners.append(listener)

    def count(self, name: str, *, hit: bool) -> None:
        """Tell of one look into the cache `name`."""
        for listener in self._listeners:
            listener(name, hit)
