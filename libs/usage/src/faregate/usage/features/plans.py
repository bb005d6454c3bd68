"""Plans: included features, their terms, and recurring grants. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from faregate.core.errors import InvalidError
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GRANT_PRIORITY, GrantSpec
from faregate.credit.ledger.recurrence import parse_every
from faregate.usage.values import Feature
from faregate.wire.credits import to_micros

__all__ = ["NO_PLAN", "PLAN_KEYS", "Plan", "PlanGrant", "Terms", "check_plan", "grant_specs", "on_plan"]

PLAN_KEYS = "plan:"
"""Prefix of the keys of plan grants."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of one feature on a plan; None keeps the feature's own value."""

    min_credits: Decimal | None = None
    margin_percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PlanGrant:
    """A recurring grant of a plan; `every` is its interval (`"month"`, `"2 weeks"`)."""

    credits: Decimal
    every: str
    priority: int = GRANT_PRIORITY
    rollover_min: Decimal = Decimal(0)
    rollover_max: Decimal = Decimal(0)
    features: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan.

    Attributes:
        features: the included features; subscribers may use them even if the access rule excludes others.
        margin_percent: replaces the deployment's margin; margins of models, providers and features take precedence.
    """

    key: str
    name: str = ""
    margin_percent: Decimal | None = None
    features: Mapping[str, Terms] = field(default_factory=dict[str, Terms])
    grants: tuple[PlanGrant, ...] = ()

    @property
    def changes_prices(self) -> bool:
        """Whether the price of a use can differ on this plan."""
        margins = [self.margin_percent, *(terms.margin_percent for terms in self.features.values())]
        floors = [terms.min_credits for terms in self.features.values()]
        return any(value is not None for value in [*margins, *floors])


NO_PLAN = Plan("")


def on_plan(feature: Feature, plan: Plan) -> Feature:
    """Return the feature with the terms of `plan`."""
    terms = plan.features.get(feature.key, Terms())
    if terms == Terms() and plan.margin_percent is None:
        return feature
    return replace(
        feature,
        min_credits=feature.min_credits if terms.min_credits is None else terms.min_credits,
        margin_percent=feature.margin_percent if terms.margin_percent is None else terms.margin_percent,
        default_margin_percent=plan.margin_percent,
    )


def grant_specs(plan: Plan, *, actor: str | None) -> list[GrantSpec]:
    """Return the recurring grants of a new subscriber. The same plan with the same grants returns the same keys."""
    return [
        GrantSpec(
            amount=to_micros(grant.credits, param=f"grants.{number}.credits"),
            source=GrantSource.PLAN,
            priority=grant.priority,
            features=grant.features,
            every=grant.every,
            rollover_min=to_micros(grant.rollover_min, param=f"grants.{number}.rollover_min"),
            rollover_max=to_micros(grant.rollover_max, param=f"grants.{number}.rollover_max"),
            key=f"{PLAN_KEYS}{plan.key}:{number}:{grant.every}",
            actor=actor,
            reason=f"plan {plan.key}",
        )
        for number, grant in enumerate(plan.grants)
    ]


def check_plan(plan: Plan, known_features: Mapping[str, Feature]) -> None:
    """Raise `InvalidError` if a plan names an unknown feature or has a grant that is not valid."""
    for key in plan.features:
        if key not in known_features:
            raise InvalidError(f"features.{key}: the feature does not exist; define it first", param=f"features.{key}")
    for number, grant in enumerate(plan.grants):
        param = f"grants.{number}"
        if grant.credits <= 0:
            raise InvalidError(f"{param}.credits must be more than 0", param=f"{param}.credits")
        if not 0 <= grant.rollover_min <= grant.rollover_max:
            raise InvalidError(f"{param}: rollover_min must be 0 … rollover_max", param=f"{param}.rollover_min")
        parse_every(grant.every)
        for key in grant.features or ():
            if key not in known_features:
                raise InvalidError(f"{param}.features: no feature {key!r}; define it first", param=f"{param}.features")
