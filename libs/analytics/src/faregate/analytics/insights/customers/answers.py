"""Customer insights as JSON values. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.customers.churn import ChurnRisk
from faregate.analytics.insights.customers.cohorts import Cohort
from faregate.analytics.insights.customers.segments import RfmScore, RfmSegment
from faregate.analytics.insights.customers.upsell import UpsellHint
from faregate.analytics.insights.customers.values import FeatureUsers

__all__ = [
    "adoption_answer",
    "cohort_answer",
    "risk_facts",
    "segment_facts",
    "segment_sizes",
    "upsell_facts",
]

_RATE = Decimal("0.0001")


def cohort_answer(cohort: Cohort) -> dict[str, Any]:
    """Return one cohort."""
    return {
        "period": cohort.period,
        "users": cohort.users,
        "active": cohort.active,
        "retention": cohort.retention,
        "activated": cohort.activated,
    }


def adoption_answer(feature: FeatureUsers, active: int, before: int) -> dict[str, Any]:
    """Return one feature; rates are fractions of all active users."""
    return {
        "feature": feature.feature,
        "users": feature.users,
        "rate": (Decimal(feature.users) / active).quantize(_RATE),
        "rate_before": (Decimal(feature.users_before) / before).quantize(_RATE) if before else None,
        "repeated": feature.repeated,
    }


def risk_facts(risk: ChurnRisk) -> dict[str, Any]:
    """Return what is kept of one user's risk."""
    user = risk.user
    return {
        "risk": risk.risk,
        "expected_days": risk.expected_days,
        "active_days": len(user.days),
        "last_at": user.last_at,
        "credits": user.whole.credits,
        "reasons": risk.reasons,
    }


def segment_facts(score: RfmScore, declared: Mapping[str, set[int]]) -> dict[str, Any]:
    """Return what is kept of one user's segments."""
    return {
        "segment": score.segment.value,
        "recency": score.recency,
        "frequency": score.frequency,
        "money": score.money,
        "credits": score.user.whole.credits,
        "last_at": score.user.last_at,
        "declared": [name for name, members in declared.items() if score.user.subject_id in members],
    }


def segment_sizes(scores: Sequence[RfmScore], declared: Mapping[str, set[int]]) -> dict[str, Any]:
    """Return the number of users and their credits by segment, and the number of users of each declared segment."""
    counts = Counter(score.segment for score in scores)
    credits = {segment: Decimal(0) for segment in RfmSegment}
    for score in scores:
        credits[score.segment] += score.user.whole.credits
    return {
        "users": len(scores),
        "segments": [
            {"segment": segment.value, "users": counts[segment], "credits": credits[segment]} for segment in RfmSegment
        ],
        "declared": [{"name": name, "users": len(members)} for name, members in declared.items()],
    }


def upsell_facts(hint: UpsellHint) -> dict[str, Any]:
    """Return what is kept of one user's hint."""
    return {
        "plan": hint.plan,
        "reasons": hint.reasons,
        "growth": hint.growth,
        "credits": hint.user.recent.credits,
        "costs": [asdict(cost) for cost in hint.costs],
        "best": hint.best.plan,
    }
