"""The hash chain of one wallet: each transfer's hash covers its fields and the hash before it.

Every field is written with its length (a NULL as length -1), so that no two rows read the same. `verify` computes the
same bytes in SQL; `tests/credit/test_chain.py` holds the two together.
"""

import struct
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from faregate.credit.accounts import Account, TransferKind

__all__ = ["GENESIS", "epoch_microseconds", "link"]

GENESIS = bytes(32)
"""What stands before a wallet's first transfer."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NUMBERS = struct.Struct(">qqhhhqqqqq")
_LENGTH = struct.Struct(">i")


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
) -> bytes:
    """Return the hash of one transfer; `texts` are usage key, operation key, actor and reason, in this order."""
    numbers = _NUMBERS.pack(
        wallet_id,
        seq,
        kind,
        debit,
        credit,
        amount,
        balance_after,
        corrects_seq or 0,
        epoch_microseconds(effective_at),
        epoch_microseconds(created_at),
    )
    return sha256(previous + numbers + b"".join(map(_framed, texts))).digest()


def epoch_microseconds(moment: datetime) -> int:
    """Return microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def _framed(value: str | None) -> bytes:
    if value is None:
        return _LENGTH.pack(-1)
    data = value.encode()
    return _LENGTH.pack(len(data)) + data
