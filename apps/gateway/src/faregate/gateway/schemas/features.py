"""Bodies and answers of `/api/features`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from faregate.core.fields import Body, Count, Credits, ExternalId, Flag, JsonObject, Text
from faregate.gateway.schemas.base import Answer
from faregate.usage.values import Feature

__all__ = ["AccessBody", "DeletedAnswer", "FeatureAnswer", "FeatureBody", "feature_answer"]


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


class DeletedAnswer(Answer):
    """The feature that is no more."""

    key: str


def feature_answer(feature: Feature) -> FeatureAnswer:
    """Return one feature."""
    access = feature.access
    return FeatureAnswer(
        key=feature.key,
        id=feature.feature_id,
        name=feature.name,
        min_credits=feature.min_credits,
        strategy=feature.strategy,
        parameters=feature.parameters,
        access={
            "plans": sorted(access.plans),
            "organizations": sorted(access.organizations),
            "users": sorted(access.users),
        },
        active=feature.active,
        hold_ttl_seconds=feature.hold_ttl_seconds,
        hold_limit_credits=feature.hold_limit_credits,
        margin_percent=feature.margin_percent,
        refuse_unpriced=feature.refuse_unpriced,
    )
