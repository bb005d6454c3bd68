"""Bodies and answers of `/api/usage`."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from faregate.core.values.fields import AtMost, Body, ExternalId, Metadata, Moment
from faregate.gateway.schemas.base import Answer, PageQuery
from faregate.gateway.schemas.wallets import TransactionAnswer, transaction_answer
from faregate.usage.credits_process.bodies import LINES_LIMIT, UsageBody
from faregate.usage.credits_process.use_facts import UseFacts
from faregate.usage.service import UsageStory
from faregate.usage.values import FeatureUsage, UsageLine

__all__ = [
    "FeatureUsageAnswer",
    "RecordUsageBody",
    "UsageQuery",
    "UseHeadAnswer",
    "UseLineAnswer",
    "UseStoryAnswer",
    "usage_answer",
    "use_story_answer",
]


_Word = Annotated[str, Field(min_length=1, max_length=255)]


class RecordUsageBody(Body):
    """`POST /api/usage`."""

    feature_key: ExternalId
    user_id: ExternalId
    organization_id: ExternalId | None = None
    usage_key: ExternalId | None = None
    usages: Annotated[list[UsageBody], AtMost(LINES_LIMIT)] = Field(default_factory=list[UsageBody])
    metadata: Metadata | None = None


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


class UsageQuery(PageQuery):
    """Filters of finished uses; `from` is included, `to` is excluded. `model`: uses with a line of this model.

    `from` and `to` are bounds of the start. Analytics count a use when it is settled: `settled_from` and `settled_to` find the uses
    behind a number. `service`, `provider`, `country`, `device` and `status` (`success`, `error` or a code) are those of a usage
    event of the use.
    """

    user_id: str | None = None
    organization_id: str | None = None
    feature_key: str | None = None
    model: Annotated[str, Field(max_length=255)] | None = None
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")
    service: _Word | None = None
    provider: _Word | None = None
    country: Annotated[str, Field(pattern="^[A-Za-z]{2}$", examples=["DE"])] | None = None
    device: _Word | None = None
    status: Annotated[str, Field(pattern="^(success|error|[0-9]{3})$", examples=["success"])] | None = None
    settled_from: Moment | None = None
    settled_to: Moment | None = None

    @property
    def facts(self) -> UseFacts:
        """The conditions on the usage events and on the settlement."""
        return UseFacts(
            service=self.service,
            provider=self.provider,
            country=self.country,
            device=self.device,
            status=self.status,
            settled_since=self.settled_from,
            settled_until=self.settled_to,
        )


def usage_answer(usage: FeatureUsage) -> FeatureUsageAnswer:
    """Return one finished use."""
    return FeatureUsageAnswer.of(usage)


class UseLineAnswer(Answer):
    """One model's part of a use."""

    ai_model: str | None
    provider: str | None
    input_tokens: int
    output_tokens: int
    credits: Decimal


class UseHeadAnswer(Answer):
    """One use in credits without its lines: hold, outcome, transactions."""

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
    transactions: list[TransactionAnswer]
    created_at: datetime
    closed_at: datetime | None
    settled_at: datetime | None


class UseStoryAnswer(UseHeadAnswer):
    """One use in credits with its lines, which do not show the seller's costs."""

    lines: list[UseLineAnswer]


def use_story_answer(use: UsageStory) -> UseStoryAnswer:
    """Return one use in credits."""
    return UseStoryAnswer.of(
        use.charge,
        user_id=use.user_id,
        organization_id=use.organization_id,
        charging=use.charge.rule,
        flags=list(use.charge.flags),
        lines=[_line(line) for line in use.lines],
        transactions=[transaction_answer(transaction) for transaction in use.transactions],
    )


def _line(line: UsageLine) -> UseLineAnswer:
    tokens = line.usage.tokens
    return UseLineAnswer.of(
        line,
        ai_model=line.usage.model,
        input_tokens=tokens.get("input_tokens", 0),
        output_tokens=tokens.get("output_tokens", 0),
    )
