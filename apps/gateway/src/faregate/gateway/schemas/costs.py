"""Queries, bodies and answers of returns, savings and what-if calculations."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from faregate.analytics.insights.costs.scenario import Proposal, ProposedGrant, ProposedMargin, ProposedPrice
from faregate.analytics.insights.costs.values import ReturnBy
from faregate.analytics.question.filters import Filters, Question, time_range
from faregate.core.redaction.scrubbing import name_checked
from faregate.core.values.fields import AtMost, Body, Credits, ExternalId, ModelName, Usd
from faregate.gateway.schemas.insights import CamelAnswer, InsightAnswer
from faregate.gateway.schemas.insights_query import PeopleQuery
from faregate.usage.features.documents import Percent

__all__ = ["ReturnsAnswer", "ReturnsQuery", "SavingsAnswer", "WhatIfAnswer", "WhatIfBody"]

_Date = Annotated[str, Field(max_length=40, examples=["2026-10-01"])]
_Owner = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(name_checked)]


class ReturnsQuery(PeopleQuery):
    """By what the return is divided; `limit` and `person` are of users."""

    by: ReturnBy = "feature"


class MarginBody(Body):
    """A margin for lines with this feature and model whose user is on this plan; what is left out means any."""

    marginPercent: Percent  # noqa: N815
    feature: ExternalId | None = None
    model: ModelName | None = None
    plan: ExternalId | None = None


class PriceBody(Body):
    """The prices of one model in USD by name, as in `PUT /api/prices/{model}`, without tiers."""

    model: ModelName
    provider: ModelName | None = None
    prices: Annotated[dict[str, Usd], AtMost(100, least=1), Field(examples=[{"input_mtok": 1, "output_mtok": 4}])]


class PlanGrantBody(Body):
    """The credits that a plan grants in a month of 30.4 days."""

    plan: ExternalId
    monthlyCredits: Annotated[Credits, Field(ge=0)]  # noqa: N815


class WhatIfBody(Body):
    """`POST /api/analytics/what-if`: the settled uses of a range, and what would have been different."""

    startDate: _Date | None = None  # noqa: N815
    endDate: _Date | None = None  # noqa: N815
    timezone: Annotated[str, Field(max_length=64)] = "UTC"
    feature: ExternalId | None = None
    model: ModelName | None = None
    userId: _Owner | None = None  # noqa: N815
    organizationId: _Owner | None = None  # noqa: N815
    margins: Annotated[list[MarginBody], AtMost(50)] = Field(
        default_factory=list[MarginBody], examples=[[{"marginPercent": 30}]]
    )
    prices: Annotated[list[PriceBody], AtMost(50)] = Field(default_factory=list[PriceBody])
    grants: Annotated[list[PlanGrantBody], AtMost(50)] = Field(default_factory=list[PlanGrantBody])
    creditPriceUsd: Annotated[Usd, Field(gt=0)] | None = None  # noqa: N815

    def question(self, *, now: datetime) -> Question:
        """Return the question."""
        filters = Filters(
            feature=self.feature, model=self.model, user_id=self.userId, organization_id=self.organizationId
        )
        return Question(time_range(self.startDate, self.endDate, self.timezone, now=now), filters)

    def proposal(self) -> Proposal:
        """Return what would have been different."""
        return Proposal(
            tuple(ProposedMargin(each.marginPercent, each.feature, each.model, each.plan) for each in self.margins),
            tuple(ProposedPrice(each.model, each.prices, each.provider) for each in self.prices),
            tuple(ProposedGrant(each.plan, each.monthlyCredits) for each in self.grants),
            self.creditPriceUsd,
        )


class UnpricedAnswer(CamelAnswer):
    """Uses with a call of unknown cost, and what is known of them."""

    uses: int
    charged: Decimal
    known_cost_usd: Decimal
    tokens: int


class ReturnPartAnswer(CamelAnswer):
    """Uses whose cost is known: `returnUsd` is the charged credits at the price of a credit less the cost.

    `rate` is `returnUsd` divided by the cost.
    """

    uses: int
    credits: Decimal
    charged: Decimal
    revenue_usd: Decimal
    cost_usd: Decimal
    return_usd: Decimal
    rate: Decimal | None
    unpriced: UnpricedAnswer


class NamedReturnAnswer(ReturnPartAnswer):
    """The return of one feature or plan; null is use without one."""

    name: str | None


class UserReturnAnswer(ReturnPartAnswer):
    """The return of one user."""

    rank: int
    user_id: str | None


class ReturnsAnswer(InsightAnswer):
    """Returns, the lowest first: of features and plans in `parts`, of users in `people`."""

    by: str | None = None
    credit_price_usd: Decimal | None = None
    total: ReturnPartAnswer | None = None
    parts: list[NamedReturnAnswer] = Field(default_factory=list[NamedReturnAnswer])
    people: list[UserReturnAnswer] = Field(default_factory=list[UserReturnAnswer])


class AlternativeAnswer(CamelAnswer):
    """What the same tokens would have cost with another model."""

    model: str
    cost_usd: Decimal


class SavingAnswer(CamelAnswer):
    """One hint: what the lines of a feature and model cost, what they would have cost, and the rule and assumption behind it."""

    kind: str
    feature: str
    model: str
    provider: str | None
    service_tier: str | None
    lines: int
    tokens: int
    cost_usd: Decimal
    would_cost_usd: Decimal
    saving_usd: Decimal
    to_model: str | None
    cacheable_tokens: int | None
    alternatives: list[AlternativeAnswer]
    rule: str
    assumption: str


class SavingsAnswer(InsightAnswer):
    """Hints, the largest saving first; savings of several hints about the same lines do not add up."""

    cost_usd: Decimal | None = None
    hints: list[SavingAnswer] = Field(default_factory=list[SavingAnswer])


class SideAnswer(CamelAnswer):
    """Amounts of uses, as they were or as they would have been."""

    credits: Decimal
    charged: Decimal
    revenue_usd: Decimal
    cost_usd: Decimal
    return_usd: Decimal


class FeatureScenarioAnswer(CamelAnswer):
    """One feature."""

    feature: str
    before: SideAnswer
    after: SideAnswer


class PlanScenarioAnswer(CamelAnswer):
    """The users of one plan; `beyond` and `newBeyond` are credits beyond the grants of the plan in the range."""

    plan: str | None
    users: int
    before: SideAnswer
    after: SideAnswer
    beyond: Decimal
    new_beyond: Decimal


class WhatIfAnswer(InsightAnswer):
    """All uses, and by feature and plan. `users` counts those who would have used more, fewer and as many credits."""

    before: SideAnswer | None = None
    after: SideAnswer | None = None
    uses: int | None = None
    lines: int | None = None
    unpriced_lines: int | None = None
    users: dict[str, Any] | None = None
    features: list[FeatureScenarioAnswer] = Field(default_factory=list[FeatureScenarioAnswer])
    plans: list[PlanScenarioAnswer] = Field(default_factory=list[PlanScenarioAnswer])
