"""Bodies and answers of `/api/ingest-rules`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from faregate.core.values.fields import Body, ExternalId, JsonObject
from faregate.gateway.schemas.base import Answer
from faregate.usage.foreign.mapping import Made
from faregate.usage.foreign.rules import Action, IngestRuleDocument
from faregate.usage.foreign.service import Rehearsal
from faregate.usage.foreign.values import Form

__all__ = ["IngestRuleAnswer", "RehearsalAnswer", "RehearsalBody", "ingest_rule_answer", "rehearsal_answer"]


class IngestRuleAnswer(Answer):
    """One declared rule; `fields` and `where` are as they were declared."""

    name: str
    forms: list[Form]
    where: Mapping[str, Any]
    action: Action
    feature_key: str | None
    fields: Mapping[str, Any]
    position: int
    description: str


class RehearsalBody(Body):
    """A sample event, and a rule that is tried before those in force."""

    form: Form = Field(examples=["lago"])
    event: JsonObject = Field(
        examples=[
            {"transaction_id": "t-1", "external_subscription_id": "user-1", "code": "llm", "properties": {"value": 5}}
        ]
    )
    name: ExternalId = "this-rule"
    rule: IngestRuleDocument | None = None


class ChargeAnswer(Answer):
    """A charge that an event would become."""

    usage_key: str
    user_id: str
    organization_id: str | None
    feature_key: str
    model: str | None
    provider: str | None
    tokens: Mapping[str, int]
    quantity: Any
    unit: str | None


class RehearsalAnswer(Answer):
    """What would become of the event: `recorded`, `charged`, or `passed` because it reports no usage or a rule ignores it."""

    outcome: Literal["recorded", "charged", "passed"]
    rule: str | None
    event: Mapping[str, Any] | None = None
    charge: ChargeAnswer | None = None


def ingest_rule_answer(name: str, document: IngestRuleDocument) -> IngestRuleAnswer:
    """Return one rule."""
    content = document.model_dump()
    return IngestRuleAnswer(name=name, **content)


def rehearsal_answer(rehearsal: Rehearsal) -> RehearsalAnswer:
    """Return what would become of an event."""
    made = rehearsal.made
    if made is None:
        return RehearsalAnswer(outcome="passed", rule=rehearsal.rule)
    if made.charge is None:
        return RehearsalAnswer(outcome="recorded", rule=rehearsal.rule, event=_plain(made.event or {}))
    return RehearsalAnswer(outcome="charged", rule=rehearsal.rule, charge=_charge(made))


def _plain(event: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in event.items()}


def _charge(made: Made) -> ChargeAnswer:
    charge = made.charge
    assert charge is not None  # noqa: S101  the caller has looked
    line = charge.usages[0] if charge.usages else None
    return ChargeAnswer(
        usage_key=charge.usage_key,
        user_id=charge.user_id,
        organization_id=charge.organization_id,
        feature_key=charge.feature.value or "",
        model=line.model if line else None,
        provider=line.provider if line else None,
        tokens=line.tokens if line else {},
        quantity=line.quantity if line else None,
        unit=line.unit if line else None,
    )
