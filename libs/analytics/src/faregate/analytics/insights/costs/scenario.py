"""What-if calculation: uses under other margins, prices and plans. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from faregate.core.errors import InvalidError
from faregate.usage.pricing.linear_prices import LinearPrices

__all__ = [
    "PricedModel",
    "Proposal",
    "ProposedGrant",
    "ProposedMargin",
    "ProposedPrice",
    "ScenarioSums",
    "scenario_answer",
]

_MONTH_DAYS = Decimal("30.4375")
_CREDIT = Decimal("0.000001")
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class ProposedMargin:
    """A margin for the lines that have this feature and model, and whose user is on this plan; None means any."""

    margin_percent: Decimal
    feature: str | None = None
    model: str | None = None
    plan: str | None = None

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of what it depends on."""
        return tuple(name for name in ("feature", "model", "plan") if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True)
class ProposedPrice:
    """The prices of a model in USD by name (`input_mtok` …), without tiers; `provider` None means any."""

    model: str
    prices: Mapping[str, Decimal]
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class ProposedGrant:
    """The credits that a plan grants in a month of 30.4 days."""

    plan: str
    monthly_credits: Decimal


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be different. Of several margins for a line the one with the most conditions counts, then the first.

    Raises:
        InvalidError: nothing is proposed.
    """

    margins: tuple[ProposedMargin, ...] = ()
    prices: tuple[ProposedPrice, ...] = ()
    grants: tuple[ProposedGrant, ...] = ()
    credit_price_usd: Decimal | None = None

    def __post_init__(self) -> None:
        if not (self.margins or self.prices or self.grants or self.credit_price_usd is not None):
            raise InvalidError("propose at least one of margins, prices, grants, credit_price_usd", param="margins")

    @property
    def ordered_margins(self) -> Sequence[ProposedMargin]:
        """The margins in the order in which they are tried."""
        return sorted(self.margins, key=lambda margin: -len(margin.conditions))


@dataclass(frozen=True, slots=True)
class PricedModel:
    """The proposed prices of a model, as lines spell it and its provider."""

    model: str
    provider: str | None
    prices: LinearPrices


@dataclass(frozen=True, slots=True)
class ScenarioSums:
    """The uses of one feature, or of one user (with the user's plan): as they were, and as they would have been.

    Attributes:
        unpriced: lines without a price under the proposal; they count as they were.
    """

    feature: str | None
    plan: str | None
    subject_id: int | None
    uses: int
    lines: int
    unpriced: int
    credits: Decimal
    new_credits: Decimal
    charged: Decimal
    new_charged: Decimal
    cost_usd: Decimal
    new_cost_usd: Decimal

    @property
    def before(self) -> tuple[Decimal, Decimal, Decimal]:
        """Credits, charged credits and cost as they were."""
        return self.credits, self.charged, self.cost_usd

    @property
    def after(self) -> tuple[Decimal, Decimal, Decimal]:
        """Credits, charged credits and cost as they would have been."""
        return self.new_credits, self.new_charged, self.new_cost_usd


def scenario_answer(
    sums: Sequence[ScenarioSums],
    *,
    days: Decimal,
    credit_price_usd: Decimal,
    new_credit_price_usd: Decimal,
    grants: Mapping[str, Decimal],
    new_grants: Mapping[str, Decimal],
) -> dict[str, Any]:
    """Return the answer as JSON values.

    Args:
        days: the length of the range.
        grants, new_grants: the credits that each plan grants in a month of 30.4 days.
    """
    prices = (credit_price_usd, new_credit_price_usd)
    features = [each for each in sums if each.subject_id is None]
    users = [each for each in sums if each.subject_id is not None]
    plans: dict[str | None, list[ScenarioSums]] = {}
    for each in users:
        plans.setdefault(each.plan, []).append(each)
    return {
        **_sides(features, *prices),
        "uses": sum(each.uses for each in features),
        "lines": sum(each.lines for each in features),
        "unpriced_lines": sum(each.unpriced for each in features),
        "users": {
            "more": sum(1 for each in users if each.new_credits > each.credits),
            "fewer": sum(1 for each in users if each.new_credits < each.credits),
            "unchanged": sum(1 for each in users if each.new_credits == each.credits),
        },
        "features": [
            {"feature": each.feature, **_sides([each], *prices)} for each in sorted(features, key=lambda f: -f.credits)
        ],
        "plans": [
            {
                "plan": plan,
                "users": len(members),
                **_sides(members, *prices),
                "beyond": _beyond([each.credits for each in members], grants.get(plan or "", _NOTHING), days),
                "new_beyond": _beyond(
                    [each.new_credits for each in members], new_grants.get(plan or "", _NOTHING), days
                ),
            }
            for plan, members in sorted(plans.items(), key=lambda item: item[0] or "")
        ],
    }


def _sides(parts: Sequence[ScenarioSums], price: Decimal, new_price: Decimal) -> dict[str, Any]:
    return {
        "before": _side([each.before for each in parts], price),
        "after": _side([each.after for each in parts], new_price),
    }


def _side(parts: Sequence[tuple[Decimal, Decimal, Decimal]], price: Decimal) -> dict[str, Decimal]:
    credits, charged, cost_usd = (sum((part[place] for part in parts), _NOTHING) for place in range(3))
    revenue = charged * price
    return {
        "credits": credits,
        "charged": charged,
        "revenue_usd": revenue,
        "cost_usd": cost_usd,
        "return_usd": revenue - cost_usd,
    }


def _beyond(used: Sequence[Decimal], monthly: Decimal, days: Decimal) -> Decimal:
    """Return the credits beyond what the plan grants each user in the range."""
    included = (monthly * days / _MONTH_DAYS).quantize(_CREDIT)
    return sum((max(each - included, _NOTHING) for each in used), _NOTHING)
