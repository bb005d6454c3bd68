"""Queries, bodies and answers of incidents and capacity."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from faregate.analytics.insights.operations.capacity.growth import full_dates
from faregate.analytics.insights.operations.incidents.refunds import Refunds
from faregate.analytics.insights.operations.incidents.values import GiveBack, GiveBackRule
from faregate.analytics.insights.values import Insight
from faregate.analytics.question.filters import Question, time_range
from faregate.core.values.fields import Body, ExternalId, LooseBody, Note
from faregate.gateway.schemas.analytics_query import FilteredQuery
from faregate.gateway.schemas.insights import CamelAnswer, ForecastPointAnswer, InsightAnswer, insight_answer

__all__ = [
    "CapacityAnswer",
    "CapacityQuery",
    "IncidentAnswer",
    "IncidentQuery",
    "IncidentRefundsAnswer",
    "IncidentRefundsBody",
    "capacity_answer",
    "refunds_answer",
]

_When = Annotated[str, Field(min_length=1, max_length=40, examples=["2026-11-28T14:00:00Z"])]


class IncidentQuery(FilteredQuery):
    """The span from `startDate` (included) to `endDate` (excluded), at most 31 days, and the uses to give back.

    `giveBack`: `failed` are charged uses with a failed feature log of the same usage key, `slow` those that took longer than
    `slowerThanMs`, `all` every charged use of the span. `person` lists one of the users.
    """

    startDate: _When  # noqa: N815
    endDate: _When  # noqa: N815
    giveBack: GiveBackRule = GiveBackRule.FAILED  # noqa: N815
    slowerThanMs: Annotated[int, Field(ge=1, le=86_400_000)] | None = None  # noqa: N815
    limit: Annotated[int, Field(ge=1, le=1000, description="how many people are listed")] = 100
    person: ExternalId | None = None

    def question(self, *, now: datetime) -> Question:
        """Return the question."""
        return Question(time_range(self.startDate, self.endDate, self.timezone, now=now), self.filters())

    def give_back(self) -> GiveBack:
        """Return the rule of the uses to give back."""
        return GiveBack(self.giveBack, self.slowerThanMs)


class PartAnswer(CamelAnswer):
    """The sums of one span."""

    requests: int
    errors: int
    error_rate: Decimal | None
    average_latency_ms: Decimal | None
    tokens: int
    credits: Decimal
    cost_usd: Decimal


class SpanAnswer(PartAnswer):
    """The sums of one span of all facts; `users` is the number of active users."""

    p95_ms: Decimal | None
    users: int


class SpansAnswer(CamelAnswer):
    """The span, those of equal length before and after it, and the same one a week before; null if it has not begun."""

    before: SpanAnswer | None = None
    during: SpanAnswer | None = None
    after: SpanAnswer | None = None
    week_before: SpanAnswer | None = None


class ChangeAnswer(CamelAnswer):
    """One value of a dimension in each span; null without use. Models count calls."""

    dimension: str
    value: str
    before: PartAnswer | None = None
    during: PartAnswer | None = None
    after: PartAnswer | None = None
    week_before: PartAnswer | None = None


class IncidentCostAnswer(CamelAnswer):
    """What it cost: of failed requests, and in credits that did not come, compared with one earlier span."""

    failed_requests: int
    failed_cost_usd: Decimal
    failed_credits: Decimal
    compared_with: str | None
    missing_credits: Decimal | None


class GiveBackAnswer(CamelAnswer):
    """The prepared correction in sum."""

    rule: str
    users: int
    uses: int
    credits: Decimal


class UseToRefundAnswer(CamelAnswer):
    """One use with the credits that are not refunded yet."""

    usage_key: str
    credits: Decimal


class HitAnswer(CamelAnswer):
    """One user: failed requests, and the uses to give back."""

    rank: int
    user_id: str | None
    failed: int
    give_back: Decimal
    uses: list[UseToRefundAnswer]


class IncidentAnswer(InsightAnswer):
    """What changed, the values that changed most first in each dimension; whom it hit; what it cost."""

    spans: SpansAnswer | None = None
    sentences: list[str] = Field(default_factory=list[str])
    changes: list[ChangeAnswer] = Field(default_factory=list[ChangeAnswer])
    cost: IncidentCostAnswer | None = None
    give_back: GiveBackAnswer | None = None
    people: list[HitAnswer] = Field(default_factory=list[HitAnswer])


class IncidentRefundsBody(Body):
    """Refund up to `limit` uses of the incident's list, from place `first` on."""

    reason: Annotated[Note, Field(min_length=1)]
    first: Annotated[int, Field(ge=1, le=10_000)] = 1
    limit: Annotated[int, Field(ge=1, le=500)] = 200


class RefundedUseAnswer(CamelAnswer):
    """One use; with a `problem` it was not refunded."""

    user_id: str
    usage_key: str
    credits: Decimal
    problem: str | None


class IncidentRefundsAnswer(CamelAnswer):
    """What was given back; `next` is the place from which the rest begins, null if there is none."""

    refunded: int
    credits: Decimal
    skipped: int
    next: int | None
    uses: list[RefundedUseAnswer]


class CapacityQuery(LooseBody):
    """`limitBytes`: the size at which the database is full; `timezone` of the days."""

    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    limitBytes: Annotated[int, Field(ge=1, le=2**60)] | None = None  # noqa: N815


class TableSizeAnswer(CamelAnswer):
    """One table with its indexes."""

    name: str
    bytes: int
    rows: int


class FullAnswer(CamelAnswer):
    """When the database reaches the limit; null: not within ten years."""

    limit_bytes: int
    expected_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None
    days_left: int | None


class CapacityAnswer(InsightAnswer):
    """The measured cost of a request and the requests of the days to come.

    `bytes` is the size of the database, `ownBytes` that of the schema. The costs are of what was added since `measuredSince`;
    null: of all. `pace`: requests of a day in the last four weeks. `full` is null without `limitBytes` and without a `growth`.
    """

    bytes: int | None = None
    own_bytes: int | None = None
    rows: int | None = None
    requests: int | None = None
    measured_since: datetime | None = None
    bytes_per_request: Decimal | None = None
    rows_per_request: Decimal | None = None
    active_ms_per_request: Decimal | None = None
    pace: Decimal | None = None
    tables: list[TableSizeAnswer] = Field(default_factory=list[TableSizeAnswer])
    growth: list[ForecastPointAnswer] = Field(default_factory=list[ForecastPointAnswer])
    full: FullAnswer | None = None


def refunds_answer(done: Refunds) -> IncidentRefundsAnswer:
    """Return a part of the list that was carried out."""
    skipped = sum(1 for use in done.uses if use.problem is not None)
    return IncidentRefundsAnswer(
        refunded=len(done.uses) - skipped,
        credits=done.credits,
        skipped=skipped,
        next=done.next,
        uses=[RefundedUseAnswer.of(use) for use in done.uses],
    )


def capacity_answer(insight: Insight, limit_bytes: int | None) -> CapacityAnswer:
    """Return the capacity, and when the limit is reached."""
    answer = insight_answer(CapacityAnswer, insight)
    found = full_dates(insight.result.answer, limit_bytes) if limit_bytes is not None else None
    full: dict[str, Any] = {"full": FullAnswer.of(found)} if found is not None else {}
    return answer.model_copy(update=full)
