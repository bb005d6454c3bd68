"""Digests that replace callers' keys that named an erased person. Pure."""

from hashlib import sha256

__all__ = ["ERASED_KEY", "erased_key", "key_without"]

ERASED_KEY = "erased:"
"""Prefix of replaced keys."""


def erased_key(key: str) -> str:
    """Return the replacement of a caller's key that named an erased person: the same for the same key, so that a repetition is
    still recognised. `key_without` computes the same in SQL.
    """
    return ERASED_KEY + sha256(key.encode()).hexdigest()


def key_without(column: str) -> str:
    """Return the SQL expression for `erased_key` of a column."""
    return f"'{ERASED_KEY}' || encode(sha256(convert_to({column}, 'UTF8')), 'hex')"
