"""Prices of quantities: graduated, volume and package. Pure; amounts in credits, exact."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

__all__ = ["Tier", "graduated", "packages", "volume"]

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Tier:
    """Up to `up_to` (included; None for no end): `credits` for each one, and `flat` once when the tier is reached."""

    up_to: Decimal | None
    credits: Decimal
    flat: Decimal = _NOTHING


def graduated(quantity: Decimal, tiers: Sequence[Tier]) -> Decimal:
    """Return the price where each part of the quantity costs what its own tier says.

    The first tier is reached by any use, also of 0; a further one by more than the end of the tier before.
    """
    total, begin = _NOTHING, _NOTHING
    for number, tier in enumerate(tiers):
        if number and quantity <= begin:
            break
        end = quantity if tier.up_to is None else min(quantity, tier.up_to)
        total += tier.flat + max(_NOTHING, end - begin) * tier.credits
        begin = tier.up_to if tier.up_to is not None else quantity
    return total


def volume(quantity: Decimal, tiers: Sequence[Tier]) -> Decimal:
    """Return the price where the tier that the whole quantity falls into prices all of it."""
    for tier in tiers:
        if tier.up_to is None or quantity <= tier.up_to:
            return tier.flat + quantity * tier.credits
    raise AssertionError("the last tier has no end")


def packages(quantity: Decimal, *, size: Decimal, credits: Decimal, free: Decimal = _NOTHING) -> Decimal:
    """Return the price of started packages of `size`, for what exceeds `free`."""
    billed = max(_NOTHING, quantity - free)
    return (billed / size).to_integral_value(ROUND_CEILING) * credits
