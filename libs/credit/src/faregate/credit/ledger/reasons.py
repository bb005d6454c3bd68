"""Seals of the reasons of transfers.

The text of a reason is stored beside the ledger, where it can be erased; the transfer, and so its hash, holds the seal. The
salt is erased with the text: a seal alone does not reveal the text, not even by guessing.
"""

import secrets
from hashlib import sha256

__all__ = ["SEALED", "operation_digest", "seal_of", "sealed"]

SEALED = "sealed:"
"""Prefix of the reason of a transfer whose text is stored separately; older rows hold the text itself."""

OPERATION = "operation:"
"""Prefix of an operation key that is stored as a digest."""

_SALT_BYTES = 16


def sealed(words: str | None) -> tuple[bytes, str | None]:
    """Return a salt and the seal of `words` with it; no seal if there are none."""
    if words is None:
        return b"", None
    salt = secrets.token_bytes(_SALT_BYTES)
    return salt, seal_of(salt, words)


def seal_of(salt: bytes, words: str) -> str:
    """Return the seal; `proof.reasons` computes the same in SQL."""
    return SEALED + sha256(salt + words.encode()).hexdigest()


def operation_digest(key: str | None) -> str | None:
    """Return the digest of a caller's operation key: it identifies a repeated call and cannot name a person.

    Older rows hold the key itself, so that a lookup must search for both.
    """
    return None if key is None else OPERATION + sha256(key.encode()).hexdigest()
