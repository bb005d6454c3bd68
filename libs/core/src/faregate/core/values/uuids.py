"""Fast construction of UUIDs from bytes."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

__all__ = ["uuid7_at", "uuid_of"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def _uuid_type() -> Callable[[bytes], UUID]:
    from asyncpg.pgproto import pgproto

    return cast("Callable[[bytes], UUID]", pgproto.UUID)


uuid_of = _uuid_type()
"""Creates a UUID from 16 bytes as the driver does: equal to the standard one, and ten times as fast."""


def uuid7_at(moment: datetime) -> UUID:
    """Return a new UUID of version 7 for an event at `moment`: the id contains the time."""
    milliseconds = (moment - _EPOCH) // _MILLISECOND
    tail = os.urandom(10)
    versions = bytes((0x70 | tail[0] & 0xF, tail[1], 0x80 | tail[2] & 0x3F))
    return uuid_of(milliseconds.to_bytes(6, "big") + versions + tail[3:])
