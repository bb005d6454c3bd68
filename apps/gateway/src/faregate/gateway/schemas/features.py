"""Bodies and answers of `/api/features`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from faregate.gateway.schemas.base import Answer
from faregate.usage.features.documents import feature_content
from faregate.usage.values import Feature

__all__ = ["DeletedAnswer", "FeatureAnswer", "feature_answer"]


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
    hold_sizing: str
    hold_credits: Decimal | None
    hold_percentile: Decimal | None
    outage_policy: str
    outage_limit_credits: Decimal | None


class DeletedAnswer(Answer):
    """The key of the deleted feature."""

    key: str


def feature_answer(feature: Feature) -> FeatureAnswer:
    """Return one feature."""
    return FeatureAnswer(**feature_content(feature))
