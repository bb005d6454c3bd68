"""Pricing of the in-memory gateway, computed as in the gateway."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from faregate.wire.clock import now
from faregate.wire.count_names import COUNT_NAMES
from faregate.wire.money import PricingPolicy, credits_for
from faregate.wire.provider_usage import balanced
from faregate.wire.published_prices import PriceSnapshot, Published, published_cost
from faregate.wire.rates import Cost, are_inconsistent

__all__ = [
    "FakePrice",
    "Pricing",
    "fixed_credits",
    "is_inconsistent",
    "one_credit",
    "price_of",
    "token_prices",
    "tokens_of",
]

_UNPRICED = "unpriced"
"""The price version of a line whose model has no price."""

_REPORTED = "reported"
"""The price version of a line priced at the cost that its provider reported."""

_DEFAULTS = PricingPolicy()
_SNAPSHOT = PriceSnapshot()
"""Shared by all fakes, because it is slow to load."""


@dataclass(frozen=True, slots=True)
class FakePrice:
    """The price of one use.

    Attributes:
        details: its lines, in the form of a settlement's answer.
        unpriced: models without a price; if there are any, at least the feature's minimum is charged.
    """

    credits: Decimal
    details: Sequence[Mapping[str, Any]] = ()
    unpriced: Sequence[str] = ()


Pricing = Callable[[Sequence[Mapping[str, Any]]], FakePrice | Decimal | int]
"""Returns the price of one use for its lines as sent."""


def one_credit(usages: Sequence[Mapping[str, Any]]) -> Decimal:  # noqa: ARG001
    """Price every use at one credit."""
    return Decimal(1)


def fixed_credits(credits: Decimal | int) -> Pricing:
    """Return the pricing of a feature with the strategy `fixed`: the same credits for each use."""
    return lambda usages: Decimal(credits)  # noqa: ARG005


def token_prices(
    *,
    credit_price_usd: Decimal = _DEFAULTS.credit_price_usd,
    margin_percent: Decimal = _DEFAULTS.margin_percent,
    quantum: Decimal = _DEFAULTS.quantum,
    use_reported_cost: bool = _DEFAULTS.use_reported_cost,
    clock: Callable[[], datetime] = now,
) -> Pricing:
    """Return the pricing of a feature with the strategy `token_priced`, by the providers' published prices.

    Each line costs its provider price plus margin, rounded up to the quantum. A line without a price costs nothing and is
    listed as unpriced: an unknown model, counts that its prices do not cover, or a published price of zero. With
    `use_reported_cost` a line costs at least what its provider reported, even if its model has no price. The defaults are
    those of a gateway without settings; an operator's own prices and margins are not known to the client.

    Raises:
        ImportError: at the first line, if genai-prices is not installed.
    """
    policy = PricingPolicy(credit_price_usd, margin_percent, quantum, use_reported_cost)

    def price(usages: Sequence[Mapping[str, Any]]) -> FakePrice:
        lines = [_priced_line(usage, policy, clock()) for usage in usages]
        credits = sum((line["credits"] for line in lines), Decimal(0))
        return FakePrice(credits, lines, [line["ai_model"] for line in lines if line["unpriced"]])

    return price


def price_of(pricing: Pricing, usages: Sequence[Mapping[str, Any]]) -> FakePrice:
    """Return the price of a use by a pricing.

    Raises:
        ValueError: the gateway could not charge this amount.
    """
    priced = pricing(usages)
    price = priced if isinstance(priced, FakePrice) else FakePrice(Decimal(priced), usages)
    if price.credits < 0 or price.credits != round(price.credits, 6):
        raise ValueError(f"pricing gave {price.credits}; a price is at least 0 and has at most 6 decimal places")
    return price


def tokens_of(usage: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts of a line other than zero, completed to its reported total."""
    return _balanced(usage)[0]


def is_inconsistent(usage: Mapping[str, Any]) -> bool:
    """Return whether the counts of a line contradict each other or its total."""
    counts, differs = _balanced(usage)
    return differs or are_inconsistent(counts)


def _balanced(usage: Mapping[str, Any]) -> tuple[dict[str, int], bool]:
    counts = {name: usage[name] for name in COUNT_NAMES if usage.get(name)}
    return balanced(counts, usage.get("total_tokens"))


def _priced_line(usage: Mapping[str, Any], policy: PricingPolicy, at: datetime) -> dict[str, Any]:
    counts = tokens_of(usage) or {"input_tokens": 0}
    published = _published(usage, at)
    cost, version = _cost(usage, published_cost(published, counts), published, policy)
    return {
        "ai_model": usage["ai_model"],
        "provider": published.provider if published is not None else usage.get("provider"),
        "input_tokens": counts.get("input_tokens", 0),
        "output_tokens": counts.get("output_tokens", 0),
        "tokens": counts,
        **_cost_fields(cost, policy),
        "price_version": version,
        "unpriced": cost is None,
    }


def _cost(
    usage: Mapping[str, Any], listed: Cost | None, published: Published | None, policy: PricingPolicy
) -> tuple[Cost | None, str]:
    reported = usage.get("reported_cost_usd")
    if policy.use_reported_cost and reported is not None and (listed is None or listed.total < reported):
        return Cost(Decimal(reported), Decimal(0), Decimal(0)), _REPORTED
    return listed, published.version if published is not None and listed is not None else _UNPRICED


def _cost_fields(cost: Cost | None, policy: PricingPolicy) -> dict[str, Any]:
    margin = policy.margin_percent
    return {
        "provider_cost_usd": cost.total if cost is not None else None,
        "margin_percent": margin,
        "credit_price_usd": policy.credit_price_usd,
        "credits": credits_for(cost.total, margin_percent=margin, policy=policy) if cost is not None else Decimal(0),
    }


def _published(usage: Mapping[str, Any], at: datetime) -> Published | None:
    try:
        return _SNAPSHOT.find(
            usage["ai_model"], provider=usage.get("provider"), service_tier=usage.get("service_tier"), at=at
        )
    except ImportError as missing:
        raise ImportError(
            "FakeCredits prices tokens by genai-prices, which is not installed: `pip install genai-prices`, or choose "
            "another pricing, such as `FakeCredits(pricing=one_credit)`"
        ) from missing
