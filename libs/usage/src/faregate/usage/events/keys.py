"""Identities of events, stored as hashes of 16 bytes."""

import os
from collections.abc import Sequence
from hashlib import blake2b
from uuid import UUID

from faregate.core.values.uuids import uuid_of

__all__ = [
    "LINE_SOURCE",
    "OWN_SOURCES",
    "USE_SOURCE",
    "Identity",
    "event_hash",
    "event_hashes",
    "event_key",
    "identity_of",
    "line_key",
    "settled_meaning",
    "use_key",
]

OWN_SOURCES = "faregate:"
"""Prefix of the sources of Faregate's events; callers must not use it."""
USE_SOURCE = "faregate:use"
"""The source of a settlement's request, whose id is the usage key. Its key is also the claim of a use on one request."""
LINE_SOURCE = "faregate:line"
_REPORTED_SOURCE = "faregate:reported"

Identity = tuple[bytes, tuple[bytes, ...]]
"""The key of an event, and the claims that must all be new for it to count; 16 bytes each."""


_EMPTY = blake2b(digest_size=16)


def event_hash(source: str | None, external_id: str) -> bytes:
    """Return the 16 bytes of the key of the event that `source` calls `external_id`."""
    digest = _EMPTY.copy()  # cheaper than a new one
    digest.update(f"{source or ''}\0{external_id}".encode())
    return digest.digest()


def event_hashes(sources: Sequence[str | None], external_ids: Sequence[str]) -> list[bytes]:
    """Return the 16 bytes of the keys of many events."""
    if len(set(sources)) != 1:
        return list(map(event_hash, sources, external_ids))
    started = blake2b(f"{sources[0] or ''}\0".encode(), digest_size=16)
    made: list[bytes] = []
    for external_id in external_ids:
        digest = started.copy()
        digest.update(external_id.encode())
        made.append(digest.digest())
    return made


def event_key(source: str | None, external_id: str) -> UUID:
    """Return the key of the event that `source` calls `external_id`."""
    return uuid_of(event_hash(source, external_id))


def use_key(usage_key: str) -> UUID:
    """Return the claim of a use on its only request."""
    return event_key(USE_SOURCE, usage_key)


def line_key(usage_key: str, number: int) -> UUID:
    """Return the key of one line of a settlement."""
    return event_key(LINE_SOURCE, f"{usage_key}/{number}")


def settled_meaning(usage_key: str | None) -> UUID:
    """Return the hash of the correction by which a settlement replaces the use's reported request."""
    return event_key("faregate:settled", usage_key or "")


def identity_of(source: str | None, external_id: str | None, usage_key: str | None) -> Identity:
    """Return the key of an event and its claims; an event without id and use has a random key and no claims.

    Args:
        usage_key: the use of which the event is the only request; None for any other event.
    """
    if external_id is None:
        if usage_key is None:
            return os.urandom(16), ()
        return event_hash(_REPORTED_SOURCE, usage_key), (event_hash(USE_SOURCE, usage_key),)
    key = event_hash(source, external_id)
    return key, (key,) if usage_key is None else (key, event_hash(USE_SOURCE, usage_key))
