"""The answers' `data`, and the bodies that only HTTP knows."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from faregate.core.fields import Body, Count, Credits, ExternalId, Flag, JsonObject, LooseBody, Moment, Text
from faregate.usage.bodies import LINES_LIMIT, UsageBody
from faregate.usage.values import Rule


class Answer(BaseModel):
    """The `data` of an answer."""

    model_config = ConfigDict(frozen=True)


class StartAnswer(Answer):
    """Go ahead. `credits` is what is free, `balance` includes what is held, `hold` is this use's part of it."""

    status: Literal["accessible"] = "accessible"
    user_id: str
    usage_key: str
    feature_key: str
    credits: Decimal
    balance: Decimal
    held: Decimal
    hold: Decimal
    expires_at: datetime
    charging: Rule
    unpriced: list[str]
    message: str


class LineAnswer(Answer):
    """One priced line; an unpriced one has neither cost nor credits."""

    ai_model: str | None
    provider: str | None
    input_tokens: int
    output_tokens: int
    tokens: Mapping[str, Any]
    provider_cost_usd: Decimal | None
    margin_percent: Decimal
    credit_price_usd: Decimal
    credits: Decimal
    price_version: str
    unpriced: bool


class EndAnswer(Answer):
    """What the use cost."""

    status: Literal["returnable"] = "returnable"
    user_id: str
    usage_key: str
    feature_key: str
    credits: Decimal
    balance: Decimal
    consumed: Decimal
    charged: Decimal
    shortfall: Decimal
    flags: list[str]
    details: list[LineAnswer]
    message: str


class ProcessingAnswer(Answer):
    """Accepted; the queue settles it."""

    status: Literal["processing"] = "processing"
    usage_key: str
    message: str


class VoidAnswer(Answer):
    """The hold is closed, nothing was charged."""

    status: Literal["voided"] = "voided"
    user_id: str
    usage_key: str
    credits: Decimal
    balance: Decimal
    message: str


class ExtendAnswer(Answer):
    """When the hold ends now."""

    usage_key: str
    expires_at: datetime


class TransactionAnswer(Answer):
    """One movement: `amount` is signed, `balance` is the one after it."""

    id: str
    kind: str
    amount: Decimal
    balance: Decimal
    usage_key: str | None
    corrects: str | None
    reason: str | None
    actor: str | None
    executed_at: datetime


class StoryAnswer(Answer):
    """Everything that is known of one use."""

    usage_key: str
    user_id: str
    organization_id: str | None
    feature_key: str
    charging: str
    status: str
    hold: Decimal
    expires_at: datetime | None
    credits_consumed: Decimal
    credits_charged: Decimal
    shortfall: Decimal
    flags: list[str]
    reason: str | None
    duration_ms: int | None
    metadata: Mapping[str, Any] | None
    details: list[LineAnswer]
    transactions: list[TransactionAnswer]
    created_at: datetime
    closed_at: datetime | None
    settled_at: datetime | None


class RecordUsageBody(Body):
    """`POST /api/usage`."""

    feature_key: ExternalId
    user_id: ExternalId
    organization_id: ExternalId | None = None
    usage_key: ExternalId | None = None
    usages: Annotated[list[UsageBody], Field(max_length=LINES_LIMIT)] = Field(default_factory=list[UsageBody])
    metadata: JsonObject | None = None


class FeatureUsageAnswer(Answer):
    """A finished use."""

    id: str
    usage_key: str
    user_id: str
    organization_id: str | None
    feature_key: str
    credits_consumed: Decimal
    credits_charged: Decimal
    metadata: Mapping[str, Any]
    executed_at: datetime


class PageQuery(LooseBody):
    """How much of a list."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: str | None = None


class UsageQuery(PageQuery):
    """Which finished uses; `from` is included, `to` is not."""

    user_id: str | None = None
    organization_id: str | None = None
    feature_key: str | None = None
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")


class GrantAnswer(Answer):
    """One grant."""

    id: str
    credits: Decimal
    remaining: Decimal
    source: str
    priority: int
    status: str
    effective_at: datetime
    expires_at: datetime | None
    features: list[str] | None
    every: str | None
    renews_at: datetime | None
    key: str | None
    reason: str | None
    actor: str | None
    created_at: datetime


class WalletAnswer(Answer):
    """A wallet. `credits` is what is free: balance + credit_limit - held - earmarked."""

    owner_id: str
    email: str | None
    organization_id: str | None
    credits: Decimal
    balance: Decimal
    held: Decimal
    earmarked: Decimal
    credit_limit: Decimal
    debt: Decimal
    status: str
    plan: str | None
    low_balance: Decimal | None
    grants: list[GrantAnswer]


class WalletBody(Body):
    """`PUT /api/wallets/{owner_id}`: what is left out stays as it is, null takes it away."""

    email: Text | None = None
    organization_id: ExternalId | None = None
    plan: ExternalId | None = None
    credit_limit: Annotated[Credits, Field(ge=0)] | None = None
    low_balance: Annotated[Credits, Field(ge=0)] | None = None
    status: Literal["active", "frozen", "closed"] | None = None


class GrantBody(Body):
    """`POST /api/wallets/{owner_id}/grants`."""

    credits: Annotated[Credits, Field(gt=0)]
    source: Literal["purchase", "bonus", "initial", "refund", "plan", "opening"]
    priority: Annotated[Count, Field(ge=0, le=1000)] = 50
    effective_at: Moment | None = None
    expires_at: Moment | None = None
    features: list[ExternalId] | None = None
    every: Text | None = Field(
        default=None, description="makes it recurring: 'day', 'week', 'month', 'year', '3 days' …"
    )
    rollover_min: Annotated[Credits, Field(ge=0)] = Decimal(0)
    rollover_max: Annotated[Credits, Field(ge=0)] = Decimal(0)
    key: ExternalId | None = Field(default=None, description="the same key on one wallet makes one grant")
    reason: Text | None = None


class GrantedAnswer(Answer):
    """The grant, and the wallet after it."""

    grant: GrantAnswer
    credits: Decimal
    balance: Decimal


class AccessBody(Body):
    """Who may use a feature: everyone when all lists are empty, else whoever is in one of them."""

    plans: list[ExternalId] = Field(default_factory=list)
    organizations: list[ExternalId] = Field(default_factory=list)
    users: list[ExternalId] = Field(default_factory=list)


class FeatureBody(Body):
    """`PUT /api/features/{key}`: the whole definition."""

    key: ExternalId | None = None
    id: ExternalId | None = None
    name: Text = ""
    min_credits: Annotated[Credits, Field(ge=0)] = Decimal(0)
    strategy: ExternalId
    parameters: JsonObject = Field(default_factory=dict)
    access: AccessBody = Field(default_factory=AccessBody)
    active: Flag = True
    hold_ttl_seconds: Annotated[Count, Field(ge=1, le=86_400)] | None = None
    hold_limit_credits: Annotated[Credits, Field(gt=0)] | None = None
    margin_percent: Annotated[Credits, Field(ge=-100, le=100_000)] | None = None
    refuse_unpriced: Flag = False


class FeatureAnswer(Answer):
    """One feature."""

    key: str
    id: str | None
    name: str
    min_credits: Decimal
    strategy: str
    parameters: Mapping[str, Any]
    access: Mapping[str, list[str]]
    active: bool
    hold_ttl_seconds: int | None
    hold_limit_credits: Decimal | None
    margin_percent: Decimal | None
    refuse_unpriced: bool


class HealthAnswer(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str


class CheckAnswer(Answer):
    """One needed part, how long it took to answer, and what is wrong with it."""

    name: str
    ok: bool
    duration_ms: float
    detail: str


class ReadyAnswer(Answer):
    """Whether this process can serve."""

    status: Literal["ready", "not ready"]
    checks: list[CheckAnswer]
