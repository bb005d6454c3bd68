"""Hash chain of a wallet's transfers.

Each hash covers the fields of a transfer, its grant slices and the hash of the transfer before it. Every field is written
with its length (NULL as length -1), so that no two rows have the same bytes. `verify` computes the same bytes in SQL
(`proof.chain.LINK`); `tests/credit/test_chain.py` compares the two.
"""

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from faregate.credit.ledger.accounts import Account, TransferKind

__all__ = ["GENESIS", "link", "microseconds"]

GENESIS = bytes(32)
"""The hash before a wallet's first transfer."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NUMBERS = struct.Struct(">qqhhhqqqqq")
_LENGTH = struct.Struct(">i")
_AMOUNT = struct.Struct(">q")
_ABSENT = _LENGTH.pack(-1)


def link(
    previous: bytes,
    *,
    wallet_id: int,
    seq: int,
    kind: TransferKind,
    debit: Account,
    credit: Account,
    amount: int,
    balance_after: int,
    corrects_seq: int | None,
    effective_at: datetime,
    created_at: datetime,
    texts: tuple[str | None, ...],
    slices: Iterable[tuple[UUID, int]] = (),
) -> bytes:
    """Return the hash of one transfer.

    Args:
        texts: usage key, operation key, actor and reason, in this order.
        slices: what the transfer added to grants and took from them, in any order.
    """
    numbers = _NUMBERS.pack(
        wallet_id,
        seq,
        kind,
        debit,
        credit,
        amount,
        balance_after,
        corrects_seq or 0,
        microseconds(effective_at),
        microseconds(created_at),
    )
    parts = b"".join([grant.bytes + _AMOUNT.pack(change) for grant, change in sorted(slices)])
    return sha256(previous + numbers + b"".join(map(_framed, texts)) + _LENGTH.pack(len(parts)) + parts).digest()


@lru_cache(maxsize=128)
def microseconds(moment: datetime) -> int:
    """Return the exact number of microseconds since 2000, which is what PostgreSQL stores and sends."""
    return (moment - _EPOCH) // _MICROSECOND


def _framed(value: str | None) -> bytes:
    if value is None:
        return _ABSENT
    data = value.encode()
    return _LENGTH.pack(len(data)) + data
