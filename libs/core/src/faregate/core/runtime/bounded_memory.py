"""In-memory caches bounded by bytes.

Callers choose the length of their names; the bound limits the memory that the names take.
"""

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache, wraps
from sys import getsizeof
from typing import Any, Generic, TypeVar, cast

__all__ = ["BoundedCache", "bounded_cache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
A = TypeVar("A", bound=str | None)

_ENTRY_BYTES = 200
"""Approximate size of an entry without its key."""


def bounded_cache(*, entries: int, longest: int) -> Callable[[Callable[[A], V]], Callable[[A], V]]:
    """Cache the results for the last `entries` texts of at most `longest` characters; results for longer texts are computed each
    time.
    """

    def decorate(function: Callable[[A], V]) -> Callable[[A], V]:
        known = lru_cache(maxsize=entries)(function)

        @wraps(function)
        def answer(text: A) -> V:
            return known(text) if text is None or len(text) <= longest else function(text)

        cast("Any", answer).cache_info = known.cache_info
        return answer

    return decorate


class BoundedCache(Generic[K, V]):
    """A dictionary that clears itself before it takes more than `limit_bytes`, or more than `entries`.

    The size is that of the keys' texts, plus `size_of` of the values.
    """

    def __init__(self, *, limit_bytes: int, entries: int, size_of: Callable[[V], int] = lambda _: 0) -> None:
        self._limit_bytes = limit_bytes
        self._entries = entries
        self._size_of = size_of
        self._known: dict[K, V] = {}
        self.size_bytes = 0

    def __contains__(self, key: K) -> bool:
        return key in self._known

    def __getitem__(self, key: K) -> V:
        return self._known[key]

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: K) -> V | None:
        """Return the cached value of `key`."""
        return self._known.get(key)

    def __setitem__(self, key: K, value: V) -> None:
        size = _size(key) + self._size_of(value) + _ENTRY_BYTES
        if key not in self._known:
            if len(self._known) >= self._entries or self.size_bytes + size > self._limit_bytes:
                self.clear()
            if size > self._limit_bytes:
                return
            self.size_bytes += size
        self._known[key] = value

    def update(self, found: Mapping[K, V]) -> None:
        """Store all of `found`."""
        for key, value in found.items():
            self[key] = value

    def clear(self) -> None:
        """Remove all entries."""
        self._known.clear()
        self.size_bytes = 0


def _size(key: object) -> int:
    if isinstance(key, tuple):
        return sum(map(_size, cast("tuple[object, ...]", key)))
    return getsizeof(key)
