"""Conversion of provider costs to credits. Pure."""

from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

__all__ = ["PricingPolicy", "credits_for"]

_HUNDRED = Decimal(100)
_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])


@dataclass(frozen=True, slots=True)
class PricingPolicy:
    """How a deployment converts costs to credits.

    Attributes:
        credit_price_usd: the price of one credit.
        margin_percent: the margin added to provider costs.
        quantum: credits are rounded up to a multiple of this.
        use_reported_cost: a line costs at least what the provider reported, even if its model has no price.
    """

    credit_price_usd: Decimal = Decimal("0.01")
    margin_percent: Decimal = Decimal(20)
    quantum: Decimal = Decimal("0.000001")
    use_reported_cost: bool = False


def credits_for(cost_usd: Decimal, *, margin_percent: Decimal, policy: PricingPolicy) -> Decimal:
    """Return cost times (1 + margin) divided by the credit price, rounded up to a multiple of the quantum.

    That rounding is the only one.
    """
    price = _EXACT.multiply(cost_usd, _EXACT.add(_HUNDRED, margin_percent))
    quantum_price = _EXACT.multiply(_EXACT.multiply(policy.credit_price_usd, _HUNDRED), policy.quantum)
    quanta = _EXACT.divide_int(price, quantum_price)
    if _EXACT.multiply(quanta, quantum_price) < price:
        quanta += 1
    return _EXACT.multiply(quanta, policy.quantum)
