"""Bodies and answers of service-level objectives."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from faregate.analytics.insights.operations.objectives.values import (
    Indicator,
    ObjectiveScope,
    ObjectiveSpec,
    ObjectiveStatus,
)
from faregate.core.values.fields import Body, Flag, ModelName
from faregate.gateway.schemas.insights import CamelAnswer, EvidenceAnswer

__all__ = ["ObjectiveAnswer", "ObjectiveBody", "objective_answer"]

_Target = Annotated[Decimal, Field(gt=0, lt=100, decimal_places=6, examples=[99.9])]
_Threshold = Annotated[int, Field(ge=1, le=3_600_000, examples=[2000])]


class ObjectiveBody(Body):
    """`PUT /api/objectives/{name}`: `targetPercent` of the requests must be good.

    Of `availability` a request is good unless it failed (a status from 400 on), of `latency` if it took at most `thresholdMs`.
    """

    indicator: Indicator
    targetPercent: _Target  # noqa: N815
    scope: ObjectiveScope = ObjectiveScope.TOTAL
    value: Annotated[ModelName | None, Field(description="the service, feature or model; not for the scope total")] = (
        None
    )
    thresholdMs: _Threshold | None = None  # noqa: N815
    windowDays: Annotated[int, Field(ge=1, le=90)] = 30  # noqa: N815
    active: Flag = True

    def spec(self, name: str) -> ObjectiveSpec:
        """Return the declaration under its name."""
        return ObjectiveSpec(
            name,
            self.indicator,
            self.targetPercent,
            self.scope,
            self.value,
            self.thresholdMs,
            self.windowDays,
            self.active,
        )


class BurnAnswer(CamelAnswer):
    """How fast the budget burns in the spans of one rule: 1 uses it up in exactly one window.

    The rule fires if both rates reach the threshold. `total` and `bad` are the requests of the long span.
    """

    rule: str
    level: str
    long: str
    short: str
    threshold: Decimal
    rate: Decimal | None
    rate_short: Decimal | None
    total: int
    bad: int
    fires: bool


class BurnAlertAnswer(CamelAnswer):
    """One alert; `endedAt` is null while the budget still burns too fast."""

    rule: str
    level: str
    fired_at: datetime
    ended_at: datetime | None
    deliveries: dict[str, str]


class ObjectiveAnswer(CamelAnswer):
    """An objective with its last status.

    `used` is the fraction of the error budget, above 1 if the objective is missed; `allowed` is the budget in requests;
    `lastsDays` is in how many days the rest is used up at the pace of the slow rule, null while it lasts. Without `enough`
    requests these are null.
    """

    name: str
    indicator: str
    scope: str
    value: str | None
    target_percent: Decimal
    threshold_ms: int | None
    window_days: int
    active: bool
    updated_at: datetime
    checked_at: datetime | None
    enough: bool | None
    total: int | None
    bad: int | None
    good_percent: Decimal | None
    allowed: Decimal | None
    used: Decimal | None
    remaining: Decimal | None
    lasts_days: Decimal | None
    burns: list[BurnAnswer]
    alerts: list[BurnAlertAnswer]
    evidence: EvidenceAnswer | None


_MEASURED = ("total", "bad", "good_percent", "allowed", "used", "remaining", "lasts_days")


def objective_answer(status: ObjectiveStatus) -> ObjectiveAnswer:
    """Return an objective with its last status."""
    spec, result = status.objective.spec, status.result
    evidence = None
    if result is not None:
        evidence = EvidenceAnswer.of(result.evidence, limits=list(result.evidence.limits))
    return ObjectiveAnswer.of(
        spec,
        updated_at=status.objective.updated_at,
        checked_at=status.checked_at,
        enough=result.enough if result is not None else None,
        **{name: status.answer.get(name) for name in _MEASURED},
        burns=[BurnAnswer.model_validate(each) for each in status.answer.get("burns", ())],
        alerts=[BurnAlertAnswer.of(each, deliveries=dict(each.deliveries)) for each in status.alerts],
        evidence=evidence,
    )
