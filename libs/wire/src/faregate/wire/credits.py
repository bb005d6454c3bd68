"""Conversion between credits and micro-credits.

Credits are `Decimal` with six places in the API, and integer micro-credits in arithmetic and storage.
"""

from decimal import Decimal

from faregate.wire.errors import InvalidError

__all__ = ["CREDITS_LIMIT", "MICROS_PER_CREDIT", "to_credits", "to_micros"]

MICROS_PER_CREDIT = 1_000_000
CREDITS_LIMIT = Decimal(10**9)
"""Amounts are below this limit, so that readers that parse numbers as doubles keep their fifteen digits."""

_SCALE = Decimal(MICROS_PER_CREDIT)


def to_micros(credits: Decimal | int, *, param: str = "credits") -> int:
    """Return `credits` as micro-credits, exactly.

    Raises:
        InvalidError: not finite, not within ±10⁹, or with more than 6 decimal places.
    """
    amount = Decimal(credits)
    if not amount.is_finite() or abs(amount) >= CREDITS_LIMIT:
        raise InvalidError(f"{param} must be a number between -{CREDITS_LIMIT} and {CREDITS_LIMIT}", param=param)
    micros = amount * _SCALE
    whole = int(micros)
    if whole != micros:
        raise InvalidError(f"{param} has more than 6 decimal places; round it to 0.000001", param=param)
    return whole


def to_credits(micros: int) -> Decimal:
    """Return micro-credits as credits, exactly, with six places."""
    return Decimal(micros).scaleb(-6)
