"""Rounding credits: always up, always to the quantum."""

from decimal import ROUND_CEILING, Context, Decimal

__all__ = ["rounded_up"]

_WIDE = Context(prec=60)


def rounded_up(credits: Decimal, quantum: Decimal) -> Decimal:
    """Return the smallest multiple of the quantum that is not below `credits`."""
    quanta = _WIDE.divide(credits, quantum).to_integral_value(ROUND_CEILING)
    return _WIDE.multiply(quanta, quantum)
