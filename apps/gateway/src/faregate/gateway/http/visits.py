"""Visits of browsers: repeated reads of the same data are recorded once."""

from hashlib import sha256

from faregate.core.clock import Deadline
from faregate.core.runtime.bounded_memory import BoundedCache

__all__ = ["Visits"]

_SECONDS = 900.0
_ENTRIES = 50_000
_BYTES = 16 * 1024 * 1024


class Visits:
    """Remembers, for 15 minutes, what each session has read: pages read the same again while they are open.

    Of reads that name no owner, the first one in each part of the API (`analytics`, `wallets`, …) stands for the visit: a page asks
    several calls of one part at once.

    Each process remembers on its own, so that a visit that is served by several of them is recorded once by each.
    """

    def __init__(self) -> None:
        self._seen: BoundedCache[str, Deadline] = BoundedCache(limit_bytes=_BYTES, entries=_ENTRIES)

    def is_repeated(self, session: str | None, action: str, owner_id: str | None) -> bool:
        """Return whether this session has read this before; a read without a session never is a repetition."""
        if session is None:
            return False
        what = action if owner_id is not None else action.partition(".")[0]
        name = sha256(f"{session}\0{what}\0{owner_id}".encode()).hexdigest()
        if name in self._seen and not self._seen[name].passed:
            return True
        self._seen[name] = Deadline(_SECONDS)
        return False
