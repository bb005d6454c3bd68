"""Bodies and answers of `/api/prices`, `/api/plans` and `/api/organizations`."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from faregate.core.values.fields import AtMost, Body, Credits, ExternalId, LooseBody, Metadata, ModelName, Moment, Note
from faregate.gateway.schemas.base import Answer
from faregate.usage.credits_process.bodies import UsageBody
from faregate.usage.features.documents import plan_content
from faregate.usage.features.plans import Plan
from faregate.usage.price_book.service import EffectivePrice
from faregate.usage.pricing.overrides import Override
from faregate.usage.values import UsageLine

__all__ = [
    "DebitBody",
    "OrganizationAnswer",
    "OrganizationBody",
    "OverrideAnswer",
    "PlanAnswer",
    "PriceAnswer",
    "PriceQuery",
    "QuoteAnswer",
    "QuoteBody",
    "override_answer",
    "plan_answer",
    "price_answer",
    "quote_answer",
]


class QuoteBody(UsageBody):
    """`POST /api/prices/quote`: a use to be priced."""

    at: Moment | None = Field(default=None, description="the moment of the price; default: now")


class QuoteAnswer(Answer):
    """The cost of the use; amounts are null for an unpriced model."""

    model: str | None
    provider: str | None
    provider_cost_usd: Decimal | None
    input_cost_usd: Decimal | None
    output_cost_usd: Decimal | None
    credits: Decimal | None
    margin_percent: Decimal
    credit_price_usd: Decimal
    price_version: str
    unpriced: bool
    inconsistent: bool


class PriceQuery(LooseBody):
    """The provider and the moment of a price."""

    provider: ModelName | None = None
    service_tier: ModelName | None = None
    at: Moment | None = None


class OverrideAnswer(Answer):
    """An operator's price of one model for a period."""

    number: int
    model: str
    provider: str | None
    service_tier: str | None
    effective_from: datetime
    effective_to: datetime | None
    prices: Mapping[str, Any]
    note: str | None
    actor: str | None
    created_at: datetime | None
    withdrawn_at: datetime | None


class PriceAnswer(Answer):
    """The price in force, and every override of the model."""

    model: str
    provider: str | None
    prices: Mapping[str, Any]
    price_version: str
    margin_percent: Decimal
    overrides: list[OverrideAnswer]


class PlanAnswer(Answer):
    """One plan."""

    key: str
    name: str
    margin_percent: Decimal | None
    features: Mapping[str, Any]
    grants: list[Any]


class OrganizationBody(Body):
    """`PUT /api/organizations/{organization_id}`: fields that are left out stay unchanged."""

    policy: Literal["recorded", "pooled"] | None = None
    join: Annotated[list[ExternalId], AtMost(1000)] = Field(default_factory=list)
    leave: Annotated[list[ExternalId], AtMost(1000)] = Field(default_factory=list)


class OrganizationAnswer(Answer):
    """An organisation with its charging policy and its members (at most 1,000)."""

    organization_id: str
    policy: str
    members: list[str]


class DebitBody(Body):
    """`POST /api/wallets/{owner_id}/debits`: record and charge an amount."""

    credits: Annotated[Credits, Field(ge=0)]
    service: ExternalId
    usage_key: ExternalId | None = None
    organization_id: ExternalId | None = None
    reason: Note | None = Field(default=None, description="the reason, shown in the ledger; default: the service")
    metadata: Metadata | None = None


def quote_answer(line: UsageLine) -> QuoteAnswer:
    """Return the cost of a line."""
    return QuoteAnswer.of(
        line,
        model=line.usage.model,
        credits=None if line.unpriced else line.credits,
        inconsistent=line.usage.inconsistent,
    )


def override_answer(override: Override) -> OverrideAnswer:
    """Return one override."""
    names = OverrideAnswer.model_fields
    return OverrideAnswer(**{name: getattr(override, name) for name in names})


def price_answer(price: EffectivePrice) -> PriceAnswer:
    """Return the price in force."""
    return PriceAnswer.of(price, overrides=[override_answer(item) for item in price.overrides])


def plan_answer(plan: Plan) -> PlanAnswer:
    """Return one plan."""
    return PlanAnswer(**plan_content(plan))
