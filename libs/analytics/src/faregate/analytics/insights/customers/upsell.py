"""Upsell: users near their plan's credits, growing, or misplaced. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal

from faregate.analytics.insights.customers.values import RECENT_DAYS, UserActivity
from faregate.credit.ledger.recurrence import next_renewal
from faregate.usage.features.plans import Plan

__all__ = ["PlanCost", "UpsellHint", "monthly_grants", "upsell_hint"]

_MONTH_DAYS = Decimal("30.4375")
_NEAR, _GROWTH = Decimal("0.8"), Decimal("0.3")
_LEAST_CREDITS = Decimal(1)
_CREDIT = Decimal("0.000001")
_RATE = Decimal("0.0001")
_YEAR_START = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PlanCost:
    """What the use of the last 28 days would have been on one plan, for a month of 30.4 days.

    Attributes:
        used: the credits of the use at the plan's margin.
        beyond: of these, the credits beyond the plan's grants.
        beyond_usd: their price at the price of a credit. The price of the plan itself is not known to Faregate.
    """

    plan: str | None
    used: Decimal
    included: Decimal
    beyond: Decimal
    beyond_usd: Decimal


@dataclass(frozen=True, slots=True)
class UpsellHint:
    """Why a user may want another plan.

    Attributes:
        growth: the change of credits from the 28 days before to the last 28; None without use before.
        costs: of the present plan first, then of the other plans by the credits beyond them.
    """

    user: UserActivity
    plan: str | None
    reasons: tuple[str, ...]
    growth: Decimal | None
    costs: tuple[PlanCost, ...]

    @property
    def best(self) -> PlanCost:
        """The plan with the fewest credits beyond it; of several, the one that includes least."""
        return min(self.costs, key=lambda cost: (cost.beyond, cost.included))


def upsell_hint(
    user: UserActivity,
    plan: str | None,
    plans: Mapping[str, Plan],
    *,
    margin_percent: Decimal,
    credit_price_usd: Decimal,
) -> UpsellHint | None:
    """Return the hint for a user; None if there is no reason, or nearly no use.

    Args:
        margin_percent: the deployment's margin, of plans without their own.
    """
    if user.recent.credits < _LEAST_CREDITS:
        return None
    now = plans.get(plan or "")
    order = [now, *(each for each in plans.values() if each is not now)]
    costs = [_cost(user, each, now, margin_percent, credit_price_usd) for each in order]
    growth = None
    if user.before.credits > 0:
        growth = (user.recent.credits / user.before.credits - 1).quantize(_RATE)
    hint = UpsellHint(user, plan, (), growth, (costs[0], *sorted(costs[1:], key=lambda cost: cost.beyond)))
    reasons = tuple(_reasons(hint))
    return UpsellHint(user, plan, reasons, growth, hint.costs) if reasons else None


def monthly_grants(plan: Plan | None) -> Decimal:
    """Return the credits that a plan grants in a month of 30.4 days."""
    if plan is None:
        return Decimal(0)
    return sum((grant.credits * _MONTH_DAYS / _days(grant.every) for grant in plan.grants), Decimal(0)).quantize(
        _CREDIT
    )


def _days(every: str) -> Decimal:
    """Return the mean length of an interval, over about ten years of it."""
    moment, count = _YEAR_START, 0
    while moment < _YEAR_START + timedelta(days=3650) and count < 4000:
        moment, count = next_renewal(_YEAR_START, every, after=moment), count + 1
    return Decimal((moment - _YEAR_START) // timedelta(hours=1)) / 24 / count


def _cost(
    user: UserActivity, plan: Plan | None, now: Plan | None, margin_percent: Decimal, credit_price_usd: Decimal
) -> PlanCost:
    margin, present = (
        margin_percent if each is None or each.margin_percent is None else each.margin_percent for each in (plan, now)
    )
    ratio = (100 + margin) / (100 + present) if present > -100 else Decimal(1)
    used = (user.recent.credits * ratio * _MONTH_DAYS / RECENT_DAYS).quantize(_CREDIT)
    included = monthly_grants(plan)
    beyond = max(used - included, Decimal(0))
    price = (beyond * credit_price_usd).quantize(Decimal("0.01"), ROUND_UP)
    return PlanCost(plan.key if plan is not None else None, used, included, beyond, price)


def _reasons(hint: UpsellHint) -> Sequence[str]:
    present, found = hint.costs[0], list[str]()
    if present.included > 0 and present.used >= _NEAR * present.included:
        share = present.used / present.included
        found.append(f"uses {share:.0%} of the plan's {_short(present.included)} credits a month")
    if hint.growth is not None and hint.growth >= _GROWTH:
        found.append(f"grew by {hint.growth:.0%} in {RECENT_DAYS} days")
    best = hint.best
    if best is not present and best.beyond < present.beyond:
        found.append(
            f"on plan {best.plan} {_short(best.beyond)} credits a month would be beyond the plan, "
            f"instead of {_short(present.beyond)}"
        )
    return found


def _short(value: Decimal) -> str:
    return f"{value:,.0f}"
