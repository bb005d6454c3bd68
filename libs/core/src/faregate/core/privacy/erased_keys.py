"""Digests in place of callers' keys that named an erased person. Pure."""

from hashlib import sha256

__all__ = ["ERASED_KEY", "erased_key", "key_without"]

ERASED_KEY = "erased:"
"""How the keys begin that were replaced."""


def erased_key(key: str) -> str:
    """Return what a caller's key becomes that named an erased person: the same for the same key, so that a repetition is
    still known. `key_without` computes the same in SQL.
    """
    return ERASED_KEY + sha256(key.encode()).hexdigest()


def key_without(column: str) -> str:
    """Return the SQL expression of what `erased_key` makes of a key."""
    return f"'{ERASED_KEY}' || encode(sha256(convert_to({column}, 'UTF8')), 'hex')"
