"""Claims on identities of events, as rows in COPY format. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from operator import itemgetter
from struct import Struct
from uuid import UUID

from faregate.core.values.uuids import uuid_of
from faregate.usage.events.copy_format import moment_of

__all__ = ["CLAIM_COLUMNS", "Claim", "claim_key", "claim_of", "claim_row", "claim_rows"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim on an identity: its key, and the event to which it belongs."""

    key: UUID
    event_key: UUID
    subject_id: int
    time: datetime


CLAIM_COLUMNS = ("key", "event_key", "subject_id", "time")

_CLAIM = Struct("!hi16si16siqiq")


def claim_row(key: bytes, event: bytes, subject_id: int, time: int) -> bytes:
    """Return a claim on `key` as a row; `time` in microseconds since 2000."""
    return _CLAIM.pack(4, 16, key, 16, event, 8, subject_id, 8, time)


def claim_rows(
    keys: Iterable[bytes], events: Iterable[bytes], subjects: Iterable[int], times: Iterable[int]
) -> Iterable[bytes]:
    """Return many claims as rows."""
    return map(
        _CLAIM.pack, repeat(4), repeat(16), keys, repeat(16), events, repeat(8), subjects, repeat(8), times
    )  # fmt: skip


claim_key: Callable[[bytes], bytes] = itemgetter(slice(6, 22))
"""Returns the key of a claim's row."""


def claim_of(row: bytes) -> Claim:
    """Return the claim of a row."""
    _, _, key, _, event, _, subject_id, _, time = _CLAIM.unpack(row)
    return Claim(uuid_of(key), uuid_of(event), subject_id, moment_of(time))
