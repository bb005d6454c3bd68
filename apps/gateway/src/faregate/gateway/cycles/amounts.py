"""Conversion between amounts of the Cycles protocol and credits. Pure."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum

from faregate.gateway.cycles.errors import CyclesError
from faregate.wire.credits import CREDITS_LIMIT

__all__ = ["Unit", "amount_of", "credits_of"]

_MICRO = Decimal("0.000001")
_USD_PER_MICROCENT = Decimal("0.00000001")


class Unit(Enum):
    """Units of the protocol; budgets here are held in the first two."""

    CREDITS = "CREDITS"
    USD_MICROCENTS = "USD_MICROCENTS"
    TOKENS = "TOKENS"
    RISK_POINTS = "RISK_POINTS"


_KEPT = (Unit.CREDITS, Unit.USD_MICROCENTS)


def credits_of(unit: Unit, amount: int, *, credit_price_usd: Decimal) -> Decimal:
    """Return an amount in credits; money at the credit price, rounded up to a micro-credit, without a margin.

    Raises:
        CyclesError: `UNIT_MISMATCH` for tokens and risk points; `INVALID_REQUEST` for 10⁹ credits and more.
    """
    if unit not in _KEPT:
        raise CyclesError(
            400,
            "UNIT_MISMATCH",
            f"no budget is kept in {unit.value}; send CREDITS or USD_MICROCENTS",
            {"requested_unit": unit.value, "expected_units": [each.value for each in _KEPT]},
        )
    credits = Decimal(amount)
    if unit is Unit.USD_MICROCENTS:
        credits = (amount * _USD_PER_MICROCENT / credit_price_usd).quantize(_MICRO, ROUND_CEILING)
    if credits >= CREDITS_LIMIT:
        raise CyclesError(400, "INVALID_REQUEST", f"amount must be less than {CREDITS_LIMIT} credits")
    return credits


def amount_of(unit: Unit, credits: Decimal, *, credit_price_usd: Decimal) -> dict[str, object]:
    """Return credits as an amount of the protocol, whose numbers are whole: rounded down."""
    value = credits if unit is Unit.CREDITS else credits * credit_price_usd / _USD_PER_MICROCENT
    return {"unit": unit.value, "amount": int(value.to_integral_value(ROUND_FLOOR))}
