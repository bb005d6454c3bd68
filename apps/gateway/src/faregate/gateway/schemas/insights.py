"""Answers of insights, in the field names of the HTTP contract."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from faregate.analytics.insights.anomalies.values import Anomaly
from faregate.analytics.insights.customers.segment_rules import SegmentRule
from faregate.analytics.insights.values import Insight
from faregate.gateway.schemas.base import Answer

__all__ = [
    "AdoptionAnswer",
    "AnomalyAnswer",
    "CamelAnswer",
    "ChurnAnswer",
    "CohortsAnswer",
    "EvidenceAnswer",
    "ForecastAnswer",
    "ForecastPointAnswer",
    "InsightAnswer",
    "RunOutsAnswer",
    "SegmentRuleAnswer",
    "SegmentsAnswer",
    "UpsellAnswer",
    "anomaly_answer",
    "insight_answer",
    "rule_answer",
]


class CamelAnswer(Answer):
    """An answer whose fields are named in camel case on the wire."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)


class EvidenceAnswer(CamelAnswer):
    """How an answer came about, and how far it holds: `sample` is the number of `sampled` things that it rests on."""

    method: str
    sample: int
    sampled: str
    start: datetime
    end: datetime
    uncertainty: str
    limits: list[str]


class InsightAnswer(CamelAnswer):
    """A kept result. Without `enough` data it holds nothing that looks like a result, and `evidence.limits` say what is missing."""

    id: UUID
    made_at: datetime
    enough: bool
    evidence: EvidenceAnswer


class ForecastPointAnswer(CamelAnswer):
    """One period; the intervals should hold its amount in 80 % and in 95 % of cases."""

    period: datetime
    expected: Decimal
    low80: Decimal
    high80: Decimal
    low95: Decimal
    high95: Decimal


class ForecastTestAnswer(CamelAnswer):
    """The back-test of one method: its mean absolute error, and that error as a fraction of the naive forecast's."""

    method: str
    error: Decimal
    ratio: Decimal | None


class EarlierForecastAnswer(CamelAnswer):
    """An earlier forecast beside what came in the periods that have passed; `held` is the fraction within 80 % intervals."""

    made_at: datetime
    periods: int
    error: Decimal
    expected: Decimal
    came: Decimal
    held: Decimal


class ForecastAnswer(InsightAnswer):
    """A forecast with its back-test, the chosen method first, and earlier forecasts of the same question."""

    amount: str | None = None
    unit: str | None = None
    points: list[ForecastPointAnswer] = Field(default_factory=list[ForecastPointAnswer])
    total: Decimal | None = None
    coverage: Decimal | None = None
    tests: list[ForecastTestAnswer] = Field(default_factory=list[ForecastTestAnswer])
    earlier: list[EarlierForecastAnswer] = Field(default_factory=list[EarlierForecastAnswer])


class CohortAnswer(CamelAnswer):
    """The users whose first use lies in one period; `active` and `retention` are of the period itself and each one after it."""

    period: datetime
    users: int
    active: list[int]
    retention: list[Decimal]
    activated: Decimal | None


class CohortsAnswer(InsightAnswer):
    """Cohorts, the oldest first."""

    unit: str | None = None
    cohorts: list[CohortAnswer] = Field(default_factory=list[CohortAnswer])


class FeatureAdoptionAnswer(CamelAnswer):
    """One feature: its recent users, and their fraction of all recent users; `repeated` used it on two days or more."""

    feature: str
    users: int
    rate: Decimal
    rate_before: Decimal | None
    repeated: int


class AdoptionAnswer(InsightAnswer):
    """Features by the number of their recent users."""

    users: int | None = None
    users_before: int | None = None
    features: list[FeatureAdoptionAnswer] = Field(default_factory=list[FeatureAdoptionAnswer])


class RiskAnswer(CamelAnswer):
    """One user: the chance to be gone, the active days expected in the next 28, and what changed."""

    rank: int
    user_id: str | None
    risk: Decimal
    expected_days: Decimal
    active_days: int
    last_at: datetime
    credits: Decimal
    reasons: list[str]


class ChurnCheckAnswer(CamelAnswer):
    """The test on the last 28 days: of two users the one that stayed away had the higher risk in the fraction `ranked`."""

    users: int
    ranked: Decimal
    expected: Decimal
    came: int


class ChurnAnswer(InsightAnswer):
    """Users by their risk, the highest first; `expectedGone` is the sum of all risks."""

    users: int | None = None
    expected_gone: Decimal | None = None
    check: ChurnCheckAnswer | None = None
    people: list[RiskAnswer] = Field(default_factory=list[RiskAnswer])


class SegmentAnswer(CamelAnswer):
    """One segment."""

    segment: str
    users: int
    credits: Decimal


class DeclaredSegmentAnswer(CamelAnswer):
    """One declared segment."""

    name: str
    users: int


class SegmentedAnswer(CamelAnswer):
    """One user: the fifths (5 is most) and segments."""

    rank: int
    user_id: str | None
    segment: str
    recency: int
    frequency: int
    money: int
    credits: Decimal
    last_at: datetime
    declared: list[str]


class SegmentsAnswer(InsightAnswer):
    """Segments with their sizes, and users, the most credits first."""

    users: int | None = None
    segments: list[SegmentAnswer] = Field(default_factory=list[SegmentAnswer])
    declared: list[DeclaredSegmentAnswer] = Field(default_factory=list[DeclaredSegmentAnswer])
    people: list[SegmentedAnswer] = Field(default_factory=list[SegmentedAnswer])


class PlanCostAnswer(CamelAnswer):
    """A month of the recent use on one plan: credits used, included, and beyond the plan; `beyondUsd` is the price of these."""

    plan: str | None
    used: Decimal
    included: Decimal
    beyond: Decimal
    beyond_usd: Decimal


class HintAnswer(CamelAnswer):
    """One user that may want another plan; `costs` begin with the present plan."""

    rank: int
    user_id: str | None
    plan: str | None
    reasons: list[str]
    growth: Decimal | None
    credits: Decimal
    costs: list[PlanCostAnswer]
    best: str | None


class UpsellAnswer(InsightAnswer):
    """Users that may want another plan, the most credits first."""

    users: int | None = None
    plans: list[str] = Field(default_factory=list[str])
    people: list[HintAnswer] = Field(default_factory=list[HintAnswer])


class QuotaRunOutAnswer(CamelAnswer):
    """A quota of all owners together."""

    about: str
    quota_id: UUID
    meter: str
    period: str
    used: Decimal
    limit: Decimal
    runs_out_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None
    refilled_at: datetime | None
    notes: list[str]


class RunOutAnswer(CamelAnswer):
    """A wallet or a quota of one owner. `runsOutAt` is null if that lies beyond the horizon; `refilledAt` is the renewal after it.

    `cappedAt`: when a spending limit first ends the use of its period early. `withoutTopUpsAt`: the date if no automatic top-up is
    paid. `expiring`: credits that expire unused.
    """

    rank: int
    user_id: str | None
    about: str
    plan: str | None = None
    balance: Decimal | None = None
    per_week: Decimal | None = None
    quota_id: UUID | None = None
    meter: str | None = None
    period: str | None = None
    used: Decimal | None = None
    limit: Decimal | None = None
    runs_out_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None
    refilled_at: datetime | None
    without_top_ups_at: datetime | None = None
    capped_at: datetime | None = None
    expiring: Decimal | None = None
    top_ups: int | None = None
    notes: list[str]


class RunOutsAnswer(InsightAnswer):
    """Wallets and quotas by the date on which they run out."""

    too_short: int | None = None
    quotas: list[QuotaRunOutAnswer] = Field(default_factory=list[QuotaRunOutAnswer])
    people: list[RunOutAnswer] = Field(default_factory=list[RunOutAnswer])


class AnomalyAnswer(CamelAnswer):
    """One unusual hour. `allowed` is how far from the expected the past went; `rows` are parameters of the export of its events."""

    id: UUID
    scope: str
    value: str | None
    user_id: str | None
    measure: str
    start: datetime
    end: datetime
    actual: Decimal
    expected: Decimal
    allowed: Decimal
    sentence: str
    factors: dict[str, Decimal]
    parts: list[dict[str, Any]]
    rows: dict[str, Any]
    verdict: str | None
    verdict_at: datetime | None
    found_at: datetime
    deliveries: dict[str, str]


class SegmentRuleAnswer(CamelAnswer):
    """A declared segment."""

    name: str
    conditions: list[dict[str, Any]]


A = TypeVar("A", bound=InsightAnswer)


def insight_answer(shape: type[A], insight: Insight) -> A:
    """Return a kept result in its shape."""
    result = insight.result
    evidence = EvidenceAnswer.of(result.evidence, limits=list(result.evidence.limits))
    people: Mapping[str, Any] = {}
    if "people" in shape.model_fields:
        people = {"people": [{"rank": p.rank, "user_id": p.user_id, **p.facts} for p in result.people]}
    return shape.model_validate(
        {
            "id": insight.id,
            "made_at": insight.made_at,
            "enough": result.enough,
            "evidence": evidence,
            **result.answer,
            **people,
        }
    )


def anomaly_answer(anomaly: Anomaly) -> AnomalyAnswer:
    """Return an anomaly."""
    suspect, reason = anomaly.suspect, anomaly.reason
    return AnomalyAnswer(
        id=anomaly.id,
        scope=suspect.watched.scope.value,
        value=suspect.watched.value,
        user_id=anomaly.user_id,
        measure=suspect.measure.value,
        start=suspect.start,
        end=suspect.end,
        actual=suspect.actual,
        expected=suspect.expected,
        allowed=suspect.allowed,
        sentence=reason["sentence"],
        factors=reason["factors"],
        parts=reason["parts"],
        rows={**reason["rows"], **({"userId": anomaly.user_id} if anomaly.user_id else {})},
        verdict=anomaly.verdict.value if anomaly.verdict else None,
        verdict_at=anomaly.verdict_at,
        found_at=anomaly.found_at,
        deliveries=dict(anomaly.deliveries),
    )


def rule_answer(rule: SegmentRule) -> SegmentRuleAnswer:
    """Return a declared segment."""
    return SegmentRuleAnswer(name=rule.name, conditions=[each.as_json for each in rule.conditions])
