"""Usage keys, minted where the use begins: the same key in every repetition makes repetitions harmless."""

import os
from uuid import UUID

from faregate.client.clock import unix_milliseconds

__all__ = ["new_usage_key"]


def new_usage_key() -> str:
    """Return a new UUID of version 7 (RFC 9562); those of one machine sort by time."""
    random = int.from_bytes(os.urandom(10), "big")
    head, tail = random >> 68, random & ((1 << 62) - 1)
    return str(UUID(int=unix_milliseconds() << 80 | 0x7 << 76 | head << 64 | 0x2 << 62 | tail))
