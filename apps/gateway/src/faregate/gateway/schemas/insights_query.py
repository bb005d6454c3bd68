"""Queries and bodies of insights, as the HTTP contract names them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from faregate.analytics.insights.anomalies.repository import AnomalyFilter
from faregate.analytics.insights.anomalies.values import AnomalyMeasure, AnomalyScope, Verdict
from faregate.analytics.insights.customers.segment_rules import SEGMENT_FIELDS, Condition, SegmentRule
from faregate.analytics.question.filters import Question, time_range
from faregate.core.redaction.scrubbing import name_checked
from faregate.core.values.fields import AtMost, Body, LooseBody, Moment
from faregate.gateway.schemas.analytics_query import FilteredQuery
from faregate.gateway.schemas.base import PageQuery, position_of

__all__ = [
    "AnomaliesQuery",
    "CohortsQuery",
    "ForecastQuery",
    "InsightQuery",
    "PeopleQuery",
    "RunOutsQuery",
    "SegmentRuleBody",
    "VerdictBody",
]

_Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(name_checked)]
_People = Annotated[int, Field(ge=1, le=1000, description="how many people are listed")]


class InsightQuery(FilteredQuery):
    """The facts that match all filters; the range is that of the insight, and `evidence` shows it."""

    def question(self, *, now: datetime) -> Question:
        """Return the question; its range is replaced by that of the insight."""
        return Question(time_range(None, None, self.timezone, now=now), self.filters())


class ForecastQuery(InsightQuery):
    """What to forecast, by which unit, and how many periods ahead; by default 48 hours, 14 days, 8 weeks or 3 months."""

    of: Literal["requests", "tokens", "credits", "cost"] = "credits"
    groupBy: Literal["hour", "day", "week", "month"] = "day"  # noqa: N815
    horizon: Annotated[int, Field(ge=1, le=168)] | None = None


class CohortsQuery(InsightQuery):
    """The length of the periods."""

    groupBy: Literal["week", "month"] = "week"  # noqa: N815


class PeopleQuery(InsightQuery):
    """How many people are listed, and of whom; `person` lists one of them, with the place among all."""

    limit: _People = 100
    person: _Name | None = None


class RunOutsQuery(LooseBody):
    """The time zone of days, and an owner."""

    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    ownerId: _Name | None = None  # noqa: N815
    limit: _People = 100


class AnomaliesQuery(PageQuery):
    """Filters of anomalies; `from` is included, `to` is excluded. `unjudged`: only those without a verdict."""

    scope: AnomalyScope | None = None
    measure: AnomalyMeasure | None = None
    userId: _Name | None = None  # noqa: N815
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")
    unjudged: bool = False

    def filter(self) -> AnomalyFilter:
        """Return the filters."""
        position = position_of(self.cursor, UUID)
        return AnomalyFilter(
            self.scope,
            self.measure,
            self.userId,
            self.since,
            self.until,
            self.unjudged,
            self.limit,
            position[0] if position else None,
        )


class VerdictBody(Body):
    """`POST /api/analytics/anomalies/{anomaly_id}/verdict`."""

    verdict: Verdict


class ConditionBody(Body):
    """One comparison of a field of the last 365 days; `recent_…` are of the last 28."""

    field: Annotated[str, Field(json_schema_extra={"enum": list(SEGMENT_FIELDS)}, examples=["credits"])]
    op: Literal[">=", ">", "<=", "<", "="]
    value: Annotated[Decimal, Field(ge=0, lt=10**15, examples=[100])]


class SegmentRuleBody(Body):
    """`PUT /api/analytics/segments/rules/{name}`: users for whom all conditions hold."""

    conditions: Annotated[list[ConditionBody], AtMost(20)]

    def rule(self, name: str) -> SegmentRule:
        """Return the rule under its name."""
        return SegmentRule(name, tuple(Condition(each.field, each.op, each.value) for each in self.conditions))
