"""Encryption at rest: AES-256-GCM with rotating keys.

Each ciphertext is bound to its place (table, column and row, or queue). Without keys nothing is encrypted, and the same code
runs.
"""

import base64
import binascii
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from faregate.core.errors import ConfigurationError, FaregateError, MissingExtraError
from faregate.wire import exact_json

__all__ = ["KeyRing", "KeyRingError", "RingKey", "SealedError", "parse_keys"]

_NONCE_BYTES = 12
_KEY_BYTES = 32
_TEXT = "sealed:"
_MESSAGE = b'{"faregate_sealed":'


class SealedError(FaregateError):
    """A ciphertext cannot be decrypted: its key is missing, or it was tampered with."""

    code = "log_sealed"


class KeyRingError(ConfigurationError):
    """`FAREGATE_LOG_KEYS` cannot be used."""


@dataclass(frozen=True, slots=True)
class RingKey:
    """A key, and the id that rows refer to it by."""

    id: str
    secret: bytes


def parse_keys(text: str | None) -> Sequence[RingKey]:
    """Read `id:base64,id:base64`; the first key is the one in use, the others decrypt what was encrypted before.

    Raises:
        KeyRingError: a part is not `id:base64 of 32 bytes`, or an id is used twice; keys are not repeated in the text.
    """
    keys = [_key(part.strip(), number) for number, part in enumerate((text or "").split(","), 1) if part.strip()]
    if len({key.id for key in keys}) != len(keys):
        raise KeyRingError("FAREGATE_LOG_KEYS: two keys have the same id; give each its own")
    return keys


def _key(part: str, number: int) -> RingKey:
    name, _, encoded = part.partition(":")
    try:
        secret = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not name or len(secret) != _KEY_BYTES:
        raise KeyRingError(
            f"FAREGATE_LOG_KEYS: key {number} must be id:base64 of 32 bytes; make one with `faregate logs new-key`"
        )
    return RingKey(name, secret)


class KeyRing:
    """Encrypts and decrypts bytes, texts and messages; `place` is the location that a ciphertext is bound to."""

    def __init__(self, keys: Sequence[RingKey] = ()) -> None:
        self._ciphers = {key.id: _cipher(key.secret) for key in keys}
        self.key_id = keys[0].id if keys else None

    def seal(self, place: str, data: bytes) -> bytes:
        """Encrypt `data` under the key in use; without keys return it unchanged."""
        if self.key_id is None:
            return data
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + bytes(self._ciphers[self.key_id].encrypt(nonce, data, place.encode()))

    def open(self, place: str, key_id: str | None, sealed: bytes) -> bytes:
        """Decrypt what was encrypted under `key_id` (None for plain data) for this place.

        Raises:
            SealedError: the key is not in the ring, or the data was not encrypted for this place.
        """
        if key_id is None:
            return sealed
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealedError(f"The key {key_id!r} is not in FAREGATE_LOG_KEYS; add it again after the one in use")
        from cryptography.exceptions import InvalidTag

        try:
            return bytes(cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place.encode()))
        except (InvalidTag, ValueError):
            raise SealedError(f"{place.replace('|', ' ')} was not sealed for this place, or was changed") from None

    def seal_text(self, place: str, text: str) -> str:
        """Return `sealed:<key>:<base64>` of a text, unless the text already begins like that; without keys return it unchanged."""
        if self.key_id is None:
            return text
        return f"{_TEXT}{self.key_id}:{base64.b64encode(self.seal(place, text.encode())).decode()}"

    def open_text(self, place: str, stored: str) -> str:
        """Decrypt the text that `seal_text` encrypted; return a plain one unchanged. Raises as `open` does."""
        if not stored.startswith(_TEXT):
            return stored
        key_id, _, encoded = stored.removeprefix(_TEXT).rpartition(":")
        return self.open(place, key_id, base64.b64decode(encoded)).decode()

    def is_current(self, stored: str) -> bool:
        """Return whether a stored text is in the form in which `seal_text` would store it today."""
        return stored.startswith(f"{_TEXT}{self.key_id}:") if self.key_id else not stored.startswith(_TEXT)

    def seal_message(self, queue: str, body: bytes) -> bytes:
        """Return the body of a message in the form in which it may wait in a queue: `{"faregate_sealed": <key>, "data":
        <base64>}`.
        """
        if self.key_id is None:
            return body
        data = base64.b64encode(self.seal(_queued(queue), body)).decode()
        return exact_json.dumps({"faregate_sealed": self.key_id, "data": data})

    def open_message(self, queue: str, body: bytes) -> bytes:
        """Decrypt the body that `seal_message` encrypted; return a plain one, such as another publisher's, unchanged.

        Raises:
            SealedError: the key is not in the ring, or the body was not encrypted for this queue.
        """
        if not body.startswith(_MESSAGE):
            return body
        try:
            found = exact_json.loads(body)
            key_id, data = str(found["faregate_sealed"]), base64.b64decode(found["data"], validate=True)
        except (FaregateError, KeyError, TypeError, ValueError):
            raise SealedError(
                f"A message of {queue} is marked as sealed, but does not have the form of a sealed message"
            ) from None
        return self.open(_queued(queue), key_id, data)


def _queued(queue: str) -> str:
    return f"message|{queue}"


def _cipher(secret: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ModuleNotFoundError:
        raise MissingExtraError("FAREGATE_LOG_KEYS (encryption at rest)", "encryption") from None
    return AESGCM(secret)
