"""Quantity of a unit in one use.

From its usages of that unit, from its metadata, or one call.
"""

from decimal import Decimal
from typing import Any

from faregate.core.errors import InvalidError
from faregate.usage.values import UNPRICED, IPrices, ModelUsage, UsageLine, Use

__all__ = ["CALLS", "quantities_in", "unit_line", "unpriced_unit_line"]

CALLS = "calls"
_NOTHING = Decimal(0)


def quantities_in(use: Use, unit: str) -> Decimal:
    """Return the quantity of `unit`: of all usages that name it, else of `metadata[unit]`; every use is one of `calls`.

    Raises:
        InvalidError: the metadata's value is no amount of 0 or more.
    """
    named = [usage.quantity or _NOTHING for usage in use.usages if usage.unit == unit]
    if named:
        return sum(named, _NOTHING)
    if unit in use.metadata:
        return _amount(use.metadata[unit], unit)
    return Decimal(1) if unit == CALLS else _NOTHING


def unit_line(unit: str, quantity: Decimal, credits: Decimal, prices: IPrices) -> UsageLine:
    """Return the line of a quantity that this feature has a price for."""
    return _line(ModelUsage(None, quantity=quantity, unit=unit), credits, "feature", prices)


def unpriced_unit_line(usage: ModelUsage, prices: IPrices) -> UsageLine:
    """Return the line of a quantity that this feature has no price for: parked, never free."""
    return _line(usage, _NOTHING, UNPRICED, prices)


def _line(usage: ModelUsage, credits: Decimal, version: str, prices: IPrices) -> UsageLine:
    return UsageLine(
        usage=usage,
        provider=usage.provider,
        provider_cost_usd=None,
        input_cost_usd=None,
        output_cost_usd=None,
        margin_percent=_NOTHING,
        credit_price_usd=prices.policy.credit_price_usd,
        credits=credits,
        price_version=version,
    )


def _amount(value: Any, unit: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value < 10**9:
        raise InvalidError(f"metadata.{unit} must be a number from 0 to 10⁹", param=f"metadata.{unit}")
    return Decimal(value)
