"""Why a transfer was made: the words stand beside the ledger, where they can be erased; the row, and so its hash, has their seal.

The salt goes with the words: from a seal alone nobody can find out what was said, not even by guessing.
"""

import secrets
from hashlib import sha256

__all__ = ["SEALED", "operation_digest", "seal_of", "sealed"]

SEALED = "sealed:"
"""What the reason of a row begins with whose words are kept apart; rows of before have the words themselves."""

OPERATION = "operation:"
"""What an operation key begins with that is kept as a digest."""

_SALT_BYTES = 16


def sealed(words: str | None) -> tuple[bytes, str | None]:
    """Return a salt and the seal of these words under it; no seal for no words."""
    if words is None:
        return b"", None
    salt = secrets.token_bytes(_SALT_BYTES)
    return salt, seal_of(salt, words)


def seal_of(salt: bytes, words: str) -> str:
    """Return the seal; `proof_reasons` computes the same in SQL."""
    return SEALED + sha256(salt + words.encode()).hexdigest()


def operation_digest(key: str | None) -> str | None:
    """Return what the ledger has of a caller's operation key: enough to know a repetition, and no name of anybody.

    Rows of before have the key itself, so that whoever looks for one looks for both.
    """
    return None if key is None else OPERATION + sha256(key.encode()).hexdigest()
