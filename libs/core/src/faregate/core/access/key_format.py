"""Format of API keys: `fg_<environment>_<id>_<secret><checksum>`.

The fixed form lets scanners detect leaked keys; the checksum detects typing errors.
"""

import hmac
import re
import secrets
import zlib
from dataclasses import dataclass
from hashlib import sha256

__all__ = ["KEY_PATTERN", "TAG_LENGTH", "Key", "hash_secret", "new_key", "parse_key", "tag_text"]

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 12, 43, 6

TAG_LENGTH = 4
"""Characters at the beginning of a key's id that name its tenant, in a deployment with several; 47 bits of the id stay random."""

KEY_PATTERN = r"fg_(live|test)_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}"
"""Expression for scanners that search for leaked keys."""

_KEY = re.compile(rf"^{KEY_PATTERN}$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """A complete key, which only its holder has. `secret` has 256 bits."""

    environment: str
    key_id: str
    secret: str

    def __str__(self) -> str:
        body = f"fg_{self.environment}_{self.key_id}_{self.secret}"
        return body + _checksum(body)

    def __repr__(self) -> str:
        return f"Key({self.environment!r}, {self.key_id!r})"


def new_key(environment: str, tag: str = "") -> Key:
    """Return a new key for `live` or `test`; its id begins with `tag`."""
    return Key(environment, tag + _random(_ID_LENGTH - len(tag)), _random(_SECRET_LENGTH))


def tag_text(number: int) -> str:
    """Return a number in the characters of keys, the least significant first, at least `TAG_LENGTH` of them."""
    digits: list[str] = []
    while number or len(digits) < TAG_LENGTH:
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


def parse_key(text: str) -> Key | None:
    """Return the key in `text`, or None if it cannot be one: wrong form, or a character missing or mistyped."""
    if not _KEY.fullmatch(text) or _checksum(text[:-_CHECKSUM_LENGTH]) != text[-_CHECKSUM_LENGTH:]:
        return None
    _, environment, key_id, tail = text.split("_")
    return Key(environment, key_id, tail[:-_CHECKSUM_LENGTH])


def hash_secret(pepper: str, key: Key) -> bytes:
    """Return the stored form of a key: a keyed hash. The secret has so much entropy that a slow hash would only add load."""
    return hmac.digest(pepper.encode(), f"{key.key_id}.{key.secret}".encode(), sha256)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(text: str) -> str:
    value = zlib.crc32(text.encode())
    digits: list[str] = []
    for _ in range(_CHECKSUM_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
