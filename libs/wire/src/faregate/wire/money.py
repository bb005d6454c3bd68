"""From what a provider charges to credits. Pure."""

from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

__all__ = ["PricingPolicy", "credits_for"]

_HUNDRED = Decimal(100)
_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])


@dataclass(frozen=True, slots=True)
class PricingPolicy:
    """From cost to credits, for a whole deployment.

    Attributes:
        use_reported_cost: a line costs at least what the provider reported, also where its model has no price.
    """

    credit_price_usd: Decimal = Decimal("0.01")
    margin_percent: Decimal = Decimal(20)
    quantum: Decimal = Decimal("0.000001")
    use_reported_cost: bool = False


def credits_for(cost_usd: Decimal, *, margin_percent: Decimal, policy: PricingPolicy) -> Decimal:
    """Return cost times (1 + margin) divided by the credit price, rounded up to a multiple of the quantum.

    Exact but for that one rounding.
    """
    price = _EXACT.multiply(cost_usd, _EXACT.add(_HUNDRED, margin_percent))
    quantum_price = _EXACT.multiply(_EXACT.multiply(policy.credit_price_usd, _HUNDRED), policy.quantum)
    quanta = _EXACT.divide_int(price, quantum_price)
    if _EXACT.multiply(quanta, quantum_price) < price:
        quanta += 1
    return _EXACT.multiply(quanta, policy.quantum)
