"""Lineage of API keys: which client created which, and liveness."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

__all__ = ["LINE_LIMIT", "Lineage", "LineageKey", "lineage_of"]

LINE_LIMIT = 8
"""Maximum length of a chain of keys that created one another: each use counts towards the caps of all of them."""


@dataclass(frozen=True, slots=True)
class LineageKey:
    """A live key: its client, when it expires, and the client whose key created it (None: not created by a key)."""

    client: str
    minter: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """The clients that have a live key. `ends`: when the last key of a client expires, None for never."""

    minters: Mapping[str, str]
    ends: Mapping[str, datetime | None]

    def line(self, client: str, now: datetime) -> tuple[str, ...] | None:
        """Return a client and its ancestors, the oldest last; None if one of them has no live key."""
        found: list[str] = []
        at: str | None = client
        while at is not None:
            if at in found or at not in self.ends or _is_past(self.ends[at], now):
                return None
            found.append(at)
            at = self.minters.get(at)
        return tuple(found)


def lineage_of(keys: Iterable[LineageKey]) -> Lineage:
    """Return the lineage of all live keys."""
    minters: dict[str, str] = {}
    ends: dict[str, datetime | None] = {}
    for key in keys:
        ends[key.client] = _later(ends[key.client], key.expires_at) if key.client in ends else key.expires_at
        if key.minter is not None:
            minters[key.client] = key.minter
    return Lineage(minters, ends)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one is not None and other is not None else None


def _is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now
