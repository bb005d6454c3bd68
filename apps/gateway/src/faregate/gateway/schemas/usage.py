"""Bodies and answers of `/api/usage`."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from faregate.core.values.fields import AtMost, Body, ExternalId, Metadata, Moment
from faregate.gateway.schemas.base import Answer, PageQuery
from faregate.usage.credits_process.bodies import LINES_LIMIT, UsageBody
from faregate.usage.values import FeatureUsage

__all__ = ["FeatureUsageAnswer", "RecordUsageBody", "UsageQuery", "usage_answer"]


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
    """Filters of finished uses; `from` is included, `to` is excluded. `model`: uses with a line of this model."""

    user_id: str | None = None
    organization_id: str | None = None
    feature_key: str | None = None
    model: Annotated[str, Field(max_length=255)] | None = None
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")


def usage_answer(usage: FeatureUsage) -> FeatureUsageAnswer:
    """Return one finished use."""
    return FeatureUsageAnswer.of(usage)
