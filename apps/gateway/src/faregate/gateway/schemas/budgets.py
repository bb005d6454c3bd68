"""Bodies and answers of `/api/budgets`."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from faregate.analytics.insights.budgets.values import BudgetScope, BudgetSpec, BudgetStatus, BudgetUnit
from faregate.analytics.quotas.levels import Level, Thresholds
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.core.redaction.scrubbing import name_checked
from faregate.core.values.fields import AtMost, Body, Credits, Flag, Text
from faregate.gateway.schemas.base import Answer
from faregate.gateway.schemas.insights import EvidenceAnswer
from faregate.gateway.schemas.quotas import ThresholdsAnswer, ThresholdsBody

__all__ = ["BudgetAnswer", "BudgetBody", "budget_answer"]


class BudgetBody(Body):
    """`PUT /api/budgets/{name}`: an amount of each period."""

    scope: BudgetScope = BudgetScope.BUSINESS
    value: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(name_checked)] | None = None
    unit: BudgetUnit = "credits"
    amount: Annotated[Credits, Field(gt=0, examples=[10_000])]
    period: Literal["day", "week", "month", "quarter", "year"] = "month"
    timezone: Annotated[str, Field(max_length=64, examples=["Europe/Berlin"])] = "UTC"
    thresholds: ThresholdsBody | None = None
    emails: Annotated[list[Annotated[Text, Field(max_length=254)]], AtMost(20)] = Field(default_factory=list[str])
    active: Flag = True

    def spec(self, name: str) -> BudgetSpec:
        """Return the specification under its name."""
        given = self.thresholds
        return BudgetSpec(
            name=name,
            scope=self.scope,
            value=self.value,
            unit=self.unit,
            amount=self.amount,
            period=QuotaPeriod(self.period),
            timezone=self.timezone,
            thresholds=Thresholds(given.warning, given.critical, given.exceeded) if given else None,
            emails=tuple(self.emails),
            active=self.active,
        )


class OutlookAnswer(Answer):
    """What the whole period is expected to use, with an interval; `runs_out_at` is null if that is not before its end."""

    expected: Decimal
    low: Decimal
    high: Decimal
    runs_out_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None


class BudgetAlertAnswer(Answer):
    """An alert of the running period, with the status of its delivery by each channel."""

    level: Level
    fired_at: datetime
    deliveries: dict[str, str]


class BudgetAnswer(Answer):
    """A budget and its running period. `burn` is the used fraction by the elapsed fraction: 1 uses it up at the end.

    `outlook` is null without enough history; `evidence.limits` say what is missing.
    """

    name: str
    scope: BudgetScope
    value: str | None
    unit: BudgetUnit
    amount: Decimal
    period: QuotaPeriod
    timezone: str
    thresholds: ThresholdsAnswer | None
    emails: list[str]
    active: bool
    updated_at: datetime
    period_start: datetime
    period_end: datetime
    used: Decimal
    percent: Decimal | None
    elapsed: Decimal
    burn: Decimal | None
    level: Level | None
    outlook: OutlookAnswer | None
    evidence: EvidenceAnswer
    alerts: list[BudgetAlertAnswer]


def budget_answer(status: BudgetStatus) -> BudgetAnswer:
    """Return a budget with its status."""
    spec, evidence = status.budget.spec, status.evidence
    given = spec.thresholds
    return BudgetAnswer(
        name=spec.name,
        scope=spec.scope,
        value=spec.value,
        unit=spec.unit,
        amount=spec.amount,
        period=spec.period,
        timezone=spec.timezone,
        thresholds=ThresholdsAnswer.of(given) if given is not None else None,
        emails=list(spec.emails),
        active=spec.active,
        updated_at=status.budget.updated_at,
        period_start=status.window.start,
        period_end=status.window.end,
        used=status.used,
        percent=status.percent,
        elapsed=status.elapsed,
        burn=status.burn,
        level=status.level,
        outlook=OutlookAnswer.of(status.outlook) if status.outlook is not None else None,
        evidence=EvidenceAnswer.of(evidence, limits=list(evidence.limits)),
        alerts=[BudgetAlertAnswer.of(alert, deliveries=dict(alert.deliveries)) for alert in status.alerts],
    )
