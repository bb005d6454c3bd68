"""Burn rates of error budgets. Pure.

The rules are those of Google's Site Reliability Workbook, "Alerting on SLOs": several spans, each with a short one that ends the
alert soon after the cause.
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.operations.objectives.values import BurnRate, BurnRule, Counted, ObjectiveSpec
from faregate.analytics.quotas.levels import Level

__all__ = [
    "LEAST_BAD",
    "LEAST_REQUESTS",
    "LEAST_WINDOW",
    "RULES",
    "budget_of",
    "burn_rate",
    "rules_for",
    "threshold_of",
]

LEAST_WINDOW = 100
"""With fewer requests in its window an objective has no status."""

LEAST_REQUESTS = 50
"""With fewer requests in the long span of a rule it does not fire."""

LEAST_BAD = 5
"""With fewer bad requests in the long span of a rule it does not fire."""

RULES = (
    BurnRule("fast", Level.CRITICAL, Decimal("0.02"), timedelta(hours=1), timedelta(minutes=5)),
    BurnRule("medium", Level.CRITICAL, Decimal("0.05"), timedelta(hours=6), timedelta(minutes=30)),
    BurnRule("slow", Level.WARNING, Decimal("0.1"), timedelta(days=3), timedelta(hours=6)),
)
"""The rules, the most urgent first."""

_RATE = Decimal("0.0001")


def rules_for(spec: ObjectiveSpec) -> tuple[BurnRule, ...]:
    """Return the rules whose long span is shorter than the window."""
    return tuple(rule for rule in RULES if rule.long < spec.window)


def threshold_of(rule: BurnRule, spec: ObjectiveSpec) -> Decimal:
    """Return the burn rate at which the long span uses its share of the budget; never below 1, which lasts the whole window."""
    return max(Decimal(1), (rule.share * _ratio(spec.window, rule.long)).quantize(_RATE))


def burn_rate(spec: ObjectiveSpec, rule: BurnRule, long: Counted, short: Counted) -> BurnRate:
    """Return how fast the budget burns in the spans of a rule."""
    enough = long.total >= LEAST_REQUESTS and long.bad >= LEAST_BAD
    calm = long.total >= LEAST_REQUESTS and long.bad < LEAST_BAD
    rate = _rate(spec, long) if enough else Decimal(0) if calm else None
    return BurnRate(rule, threshold_of(rule, spec), rate, _rate(spec, short), long)


def budget_of(spec: ObjectiveSpec, counted: Counted, slowest: BurnRate | None) -> Mapping[str, Any]:
    """Return what is used of the error budget.

    Args:
        slowest: the rate of the longest span; from it follows in how many days the budget is used up.
    """
    allowed = counted.total * spec.budget
    used = (counted.bad / allowed).quantize(_RATE)
    rate = slowest.long if slowest is not None else None
    lasts = None
    if rate is not None and rate > 1:
        lasts = (max(Decimal(0), 1 - used) * spec.window_days / rate).quantize(Decimal("0.1"))
    return {
        "total": counted.total,
        "bad": counted.bad,
        "good_percent": (100 * Decimal(counted.total - counted.bad) / counted.total).quantize(_RATE),
        "allowed": allowed.quantize(_RATE),
        "used": used,
        "remaining": 1 - used,
        "lasts_days": lasts,
    }


def _rate(spec: ObjectiveSpec, counted: Counted) -> Decimal | None:
    return (Decimal(counted.bad) / counted.total / spec.budget).quantize(_RATE) if counted.total else None


def _ratio(whole: timedelta, part: timedelta) -> Decimal:
    return Decimal(whole // timedelta(seconds=1)) / (part // timedelta(seconds=1))
