"""Spend caps of API keys: spending limits scoped to a client."""

from collections.abc import Sequence

from faregate.credit.ledger.limits import key_scope

__all__ = ["cap_scope", "spender_of"]


def cap_scope(client: str) -> str:
    """Return the scope of what a client spends with all of its keys and the keys made by them."""
    return key_scope(_spender(client))


def spender_of(line: Sequence[str]) -> str:
    """Return the spender of a call: the client of its key, then those that it descends from."""
    return " ".join(_spender(client) for client in line)


def _spender(client: str) -> str:
    return f"key:{client}"
