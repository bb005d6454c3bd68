"""Return on provider cost: what is charged less what it costs. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.costs.values import ReturnSums

__all__ = ["return_facts", "return_total", "return_usd"]

_RATE = Decimal("0.0001")
_NOTHING = Decimal(0)


def return_usd(sums: ReturnSums, credit_price_usd: Decimal) -> Decimal:
    """Return the charged credits at the price of a credit less the provider cost, of uses whose cost is known."""
    return sums.charged * credit_price_usd - sums.cost_usd


def return_facts(sums: ReturnSums, credit_price_usd: Decimal) -> dict[str, Any]:
    """Return what is kept of the sums; `rate` is the return divided by the cost, None without cost."""
    gained = return_usd(sums, credit_price_usd)
    return {
        "uses": sums.uses,
        "credits": sums.consumed,
        "charged": sums.charged,
        "revenue_usd": sums.charged * credit_price_usd,
        "cost_usd": sums.cost_usd,
        "return_usd": gained,
        "rate": (gained / sums.cost_usd).quantize(_RATE) if sums.cost_usd > 0 else None,
        "unpriced": {
            "uses": sums.unpriced_uses,
            "charged": sums.unpriced_charged,
            "known_cost_usd": sums.unpriced_cost_usd,
            "tokens": sums.unpriced_tokens,
        },
    }


def return_total(parts: Sequence[ReturnSums]) -> ReturnSums:
    """Return the sums of all parts."""
    return ReturnSums(
        None,
        sum(part.uses for part in parts),
        sum((part.consumed for part in parts), _NOTHING),
        sum((part.charged for part in parts), _NOTHING),
        sum((part.cost_usd for part in parts), _NOTHING),
        sum(part.unpriced_uses for part in parts),
        sum((part.unpriced_charged for part in parts), _NOTHING),
        sum((part.unpriced_cost_usd for part in parts), _NOTHING),
        sum(part.unpriced_tokens for part in parts),
    )
