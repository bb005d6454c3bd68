"""Encrypted cells of feature logs.

Each cell is bound to its table, column and row. E-mail addresses stay searchable by a blind index: a keyed digest that reveals
nothing without the key.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

from faregate.core.privacy.key_ring import KeyRing, SealedError, parse_keys
from faregate.core.privacy.key_ring import RingKey as LogKey
from faregate.core.runtime.bounded_memory import bounded_cache
from faregate.feature_log.errors import LogSealedError

__all__ = ["LogKey", "Sealer", "email_text", "parse_keys"]

_TABLE = "feature_log"
_INDEX_BYTES = 16


class Sealer:
    """Encrypts and decrypts cells of `feature_log`."""

    def __init__(self, keys: Sequence[LogKey] = ()) -> None:
        self.ring = KeyRing(keys)
        self._index_keys = [hmac.digest(key.secret, b"faregate blind index of e-mails", sha256) for key in keys]
        self.key_id = self.ring.key_id
        self.index = bounded_cache(entries=10_000, longest=512)(self._index)

    def seal(self, column: str, row_id: UUID, data: bytes | None) -> bytes | None:
        """Return the stored form of `data`, encrypted under the key in use."""
        return None if data is None else self.ring.seal(_place(column, row_id), data)

    def open(self, column: str, row_id: UUID, key_id: str | None, stored: bytes | None) -> bytes | None:
        """Return the decrypted data of a cell.

        Raises:
            LogSealedError: the key is not in the ring, or the cell was not encrypted for this column and row.
        """
        if stored is None:
            return None
        try:
            return self.ring.open(_place(column, row_id), key_id, stored)
        except SealedError as error:
            raise LogSealedError(error.detail) from error

    def indexes(self, email: str) -> list[bytes]:
        """Return all index values that this address may have: one per key, and that of rows without encryption."""
        plain = email_text(email)
        return [*(_blind(key, plain) for key in self._index_keys), _blind(b"", plain)]

    def _index(self, email: str) -> bytes:
        """Return the index value of new rows with this address."""
        return _blind(self._index_keys[0] if self._index_keys else b"", email_text(email))


def email_text(email: str) -> str:
    """Return an address in its normalised form for comparison."""
    return email.strip().casefold()


def _blind(key: bytes, email: str) -> bytes:
    return hmac.digest(key, email.encode(), sha256)[:_INDEX_BYTES]


def _place(column: str, row_id: UUID) -> str:
    return f"{_TABLE}|{column}|{row_id.hex}"
