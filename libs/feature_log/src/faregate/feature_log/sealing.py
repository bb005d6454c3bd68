"""Encryption at rest: AES-256-GCM under a ring of keys, each cell bound to its table, column and row.

Without keys nothing is encrypted, and the same code runs. E-mail addresses stay findable by a blind index: a keyed
digest that tells nothing without the key.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from faregate.core.bounded_memory import remembered
from faregate.core.errors import MissingExtraError
from faregate.feature_log.errors import LogKeyError, LogSealedError

__all__ = ["LogKey", "Sealer", "email_text", "parse_keys"]

_TABLE = "feature_log"
_NONCE_BYTES = 12
_KEY_BYTES = 32
_INDEX_BYTES = 16


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key and the id that rows name it by."""

    id: str
    secret: bytes


def parse_keys(text: str | None) -> Sequence[LogKey]:
    """Read `id:base64,id:base64`; the first key is the one in use, the others open what was sealed before.

    Raises:
        LogKeyError: a part is not `id:base64 of 32 bytes`, or an id stands twice; keys are not repeated in the text.
    """
    keys = [_key(part.strip(), number) for number, part in enumerate((text or "").split(","), 1) if part.strip()]
    if len({key.id for key in keys}) != len(keys):
        raise LogKeyError("FAREGATE_LOG_KEYS: two keys have the same id; give each its own")
    return keys


def _key(part: str, number: int) -> LogKey:
    name, _, encoded = part.partition(":")
    try:
        secret = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not name or len(secret) != _KEY_BYTES:
        raise LogKeyError(
            f"FAREGATE_LOG_KEYS: key {number} must be id:base64 of 32 bytes; make one with `faregate logs new-key`"
        )
    return LogKey(name, secret)


class Sealer:
    """Seals and opens cells of `feature_log`."""

    def __init__(self, keys: Sequence[LogKey] = ()) -> None:
        self._ciphers = {key.id: _cipher(key.secret) for key in keys}
        self._index_keys = [hmac.digest(key.secret, b"faregate blind index of e-mails", sha256) for key in keys]
        self.key_id = keys[0].id if keys else None
        self.index = remembered(entries=10_000, longest=512)(self._index)

    def seal(self, column: str, row_id: UUID, data: bytes | None) -> bytes | None:
        """Return `data` as it is stored under the key in use."""
        if data is None or self.key_id is None:
            return data
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._ciphers[self.key_id]
        return nonce + bytes(cipher.encrypt(nonce, data, _bound_to(column, row_id)))

    def open(self, column: str, row_id: UUID, key_id: str | None, stored: bytes | None) -> bytes | None:
        """Return what was sealed.

        Raises:
            LogSealedError: the key is not in the ring, or the cell is not what was sealed for this column and row.
        """
        if stored is None or key_id is None:
            return stored
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise LogSealedError(f"The key {key_id!r} is not in FAREGATE_LOG_KEYS; put it back behind the one in use")
        from cryptography.exceptions import InvalidTag

        try:
            return bytes(cipher.decrypt(stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], _bound_to(column, row_id)))
        except (InvalidTag, ValueError):
            raise LogSealedError(f"{column} of feature log {row_id} is not what was sealed for it") from None

    def indexes(self, email: str) -> list[bytes]:
        """Return all values that the index of this address may have: one per key, and that of unsealed rows."""
        plain = email_text(email)
        return [*(_blind(key, plain) for key in self._index_keys), _blind(b"", plain)]

    def _index(self, email: str) -> bytes:
        """Return the index that new rows of this address have."""
        return _blind(self._index_keys[0] if self._index_keys else b"", email_text(email))


def email_text(email: str) -> str:
    """Return an address in the form in which addresses are compared."""
    return email.strip().casefold()


def _blind(key: bytes, email: str) -> bytes:
    return hmac.digest(key, email.encode(), sha256)[:_INDEX_BYTES]


def _bound_to(column: str, row_id: UUID) -> bytes:
    return f"{_TABLE}|{column}|{row_id.hex}".encode()


def _cipher(secret: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ModuleNotFoundError:
        raise MissingExtraError("FAREGATE_LOG_KEYS (encryption at rest)", "encryption") from None
    return AESGCM(secret)
