"""Definitions of features, plans and prices, in files and requests."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from faregate.core.errors import InvalidError
from faregate.core.values.fields import (
    AtMost,
    Body,
    Count,
    Credits,
    ExternalId,
    Flag,
    JsonObject,
    ModelName,
    Moment,
    Note,
    Text,
    Usd,
)
from faregate.usage.features.plans import Plan, PlanGrant, Terms
from faregate.usage.values import Feature, FeatureAccess, HoldSizing, OutagePolicy

__all__ = [
    "AccessDocument",
    "FeatureDocument",
    "Percent",
    "PlanDocument",
    "PriceDocument",
    "feature_content",
    "plan_content",
    "read_document",
]

D = TypeVar("D", bound=BaseModel)

Percent = Annotated[Credits, Field(ge=-100, le=100_000)]


class AccessDocument(Body):
    """Who may use a feature: everyone if all lists are empty, otherwise only those on one of them."""

    plans: Annotated[list[ExternalId], AtMost(10_000)] = Field(default_factory=list)
    organizations: Annotated[list[ExternalId], AtMost(10_000)] = Field(default_factory=list)
    users: Annotated[list[ExternalId], AtMost(10_000)] = Field(default_factory=list)


class FeatureDocument(Body):
    """Complete definition of a feature."""

    key: ExternalId | None = None
    id: ExternalId | None = None
    name: Note = ""
    min_credits: Annotated[Credits, Field(ge=0)] = Decimal(0)
    strategy: ExternalId
    parameters: JsonObject = Field(default_factory=dict)
    access: AccessDocument = Field(default_factory=AccessDocument)
    active: Flag = True
    hold_ttl_seconds: Annotated[Count, Field(ge=1, le=86_400)] | None = None
    hold_limit_credits: Annotated[Credits, Field(gt=0)] | None = None
    hold_sizing: Literal["estimate", "fixed", "percentile"] = "estimate"
    hold_credits: Annotated[Credits, Field(ge=0)] | None = None
    hold_percentile: Annotated[Credits, Field(gt=0, le=100)] | None = None
    margin_percent: Percent | None = None
    refuse_unpriced: Flag = False
    outage_policy: Literal["closed", "open"] = "closed"
    outage_limit_credits: Annotated[Credits, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _check_pairs(self) -> "FeatureDocument":
        if self.hold_sizing == "fixed" and self.hold_credits is None:
            raise ValueError("hold_credits is required where hold_sizing is 'fixed'")
        if self.hold_sizing == "percentile" and self.hold_percentile is None:
            raise ValueError("hold_percentile is required where hold_sizing is 'percentile'")
        if self.outage_policy == "open" and self.outage_limit_credits is None:
            raise ValueError("outage_limit_credits is required where outage_policy is 'open': it bounds the debt")
        return self

    def feature(self, key: str) -> Feature:
        """Return the feature with this key."""
        given = self.model_dump(exclude={"key", "id", "access", "hold_sizing", "outage_policy"})
        access = {kind: frozenset(names) for kind, names in self.access.model_dump().items()}
        return Feature(
            **given,
            key=key,
            feature_id=self.id,
            access=FeatureAccess(**access),
            hold_sizing=HoldSizing(self.hold_sizing),
            outage_policy=OutagePolicy(self.outage_policy),
        )


class TermsDocument(Body):
    """Terms of one feature on a plan that differ from the feature's own."""

    min_credits: Annotated[Credits, Field(ge=0)] | None = None
    margin_percent: Percent | None = None


class PlanGrantDocument(Body):
    """A recurring grant of a plan."""

    credits: Annotated[Credits, Field(gt=0)]
    every: Text = Field(examples=["month"])
    priority: Annotated[Count, Field(le=1000)] = 50
    rollover_min: Annotated[Credits, Field(ge=0)] = Decimal(0)
    rollover_max: Annotated[Credits, Field(ge=0)] = Decimal(0)
    features: Annotated[list[ExternalId], AtMost(1000)] | None = None


class PlanDocument(Body):
    """Complete definition of a plan."""

    key: ExternalId | None = None
    name: Note = ""
    margin_percent: Percent | None = None
    features: Annotated[dict[ExternalId, TermsDocument], AtMost(1000)] = Field(default_factory=dict)
    grants: Annotated[list[PlanGrantDocument], AtMost(20)] = Field(default_factory=list[PlanGrantDocument])

    def plan(self, key: str) -> Plan:
        """Return the plan with this key."""
        features = {name: Terms(**terms.model_dump()) for name, terms in self.features.items()}
        return Plan(key, self.name, self.margin_percent, features, tuple(map(_plan_grant, self.grants)))


class TierDocument(Body):
    """More than `start` input tokens set the price of the whole line to `price`."""

    start: Count
    price: Usd


class TieredDocument(Body):
    """A price that depends on the number of input tokens."""

    base: Usd
    tiers: Annotated[list[TierDocument], AtMost(20, least=1)]


class PriceDocument(Body):
    """Prices of one model in USD, which replace the published ones, and the margin on it."""

    provider: ModelName | None = None
    service_tier: ModelName | None = None
    effective_from: Moment | None = None
    effective_to: Moment | None = None
    prices: Annotated[dict[str, Usd | TieredDocument], AtMost(100)] | None = Field(
        default=None, examples=[{"input_mtok": 2.5, "output_mtok": 10}]
    )
    margin_percent: Percent | None = Field(default=None, description="null takes the model's margin away")
    note: Note | None = None

    @property
    def sets_margin(self) -> bool:
        """Whether the margin was given, null included."""
        return "margin_percent" in self.model_fields_set


def read_document(kind: type[D], content: Any, *, name: str = "body") -> D:
    """Return `content` as a document; raise `InvalidError` that names the first invalid field."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        param = ".".join(map(str, problem["loc"])) or name
        raise InvalidError(f"{name}: {param}: {problem['msg']}", param=param) from None


def feature_content(feature: Feature) -> dict[str, Any]:
    """Return a feature as a document from which the same feature can be read."""
    access = feature.access
    return {
        "key": feature.key,
        "id": feature.feature_id,
        "name": feature.name,
        "min_credits": feature.min_credits,
        "strategy": feature.strategy,
        "parameters": dict(feature.parameters),
        "access": {
            "plans": sorted(access.plans),
            "organizations": sorted(access.organizations),
            "users": sorted(access.users),
        },
        "active": feature.active,
        "hold_ttl_seconds": feature.hold_ttl_seconds,
        "hold_limit_credits": feature.hold_limit_credits,
        "hold_sizing": feature.hold_sizing.value,
        "hold_credits": feature.hold_credits,
        "hold_percentile": feature.hold_percentile,
        "margin_percent": feature.margin_percent,
        "refuse_unpriced": feature.refuse_unpriced,
        "outage_policy": feature.outage_policy.value,
        "outage_limit_credits": feature.outage_limit_credits,
    }


def plan_content(plan: Plan) -> dict[str, Any]:
    """Return a plan as a document from which the same plan can be read."""
    return {
        "key": plan.key,
        "name": plan.name,
        "margin_percent": plan.margin_percent,
        "features": {key: _given(terms) for key, terms in sorted(plan.features.items())},
        "grants": [
            {
                "credits": grant.credits,
                "every": grant.every,
                "priority": grant.priority,
                "rollover_min": grant.rollover_min,
                "rollover_max": grant.rollover_max,
                "features": list(grant.features) if grant.features else None,
            }
            for grant in plan.grants
        ],
    }


def _plan_grant(grant: PlanGrantDocument) -> PlanGrant:
    features = tuple(grant.features) if grant.features else None
    return PlanGrant(**grant.model_dump(exclude={"features"}), features=features)


def _given(terms: Terms) -> Mapping[str, Decimal]:
    pairs = {"min_credits": terms.min_credits, "margin_percent": terms.margin_percent}
    return {name: value for name, value in pairs.items() if value is not None}
