"""Bodies and answers of `/api/quotas` and `/api/alerts`."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field

from faregate.analytics.quotas.levels import Level, Thresholds
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.values import Alert, Quota, QuotaSpec, QuotaStatus
from faregate.core.redaction.scrubbing import name_checked
from faregate.core.values.fields import AtMost, Body, Flag, LooseBody, Moment, Text
from faregate.gateway.schemas.base import Answer, PageQuery
from faregate.wire.ids import EXTERNAL_ID_PATTERN

__all__ = [
    "AlertAnswer",
    "AlertsQuery",
    "QuotaAnswer",
    "QuotaBody",
    "QuotaCheckQuery",
    "QuotaStatusAnswer",
    "QuotasQuery",
    "alert_answer",
    "quota_answer",
    "status_answer",
]


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004  pydantic reports ValueError
    return Decimal(value)


_Limit = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, lt=10**15, decimal_places=9, examples=[10_000])]
_Percent = Annotated[Decimal, BeforeValidator(_number), Field(gt=0, le=1000, decimal_places=2, examples=[75])]
_Owner = Annotated[
    str,
    Field(pattern=rf"^\*$|{EXTERNAL_ID_PATTERN}", examples=["user-1", "org:acme", "*"]),
    AfterValidator(name_checked),
]


class ThresholdsBody(Body):
    """The percentages at which each level begins."""

    warning: _Percent = Decimal(75)
    critical: _Percent = Decimal(90)
    exceeded: _Percent = Decimal(100)


class QuotaBody(Body):
    """`PUT /api/quotas`: the quota of one owner for one meter and period."""

    owner_id: _Owner
    meter: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9._:/@ -]{1,100}$", examples=["api", "tokens"]), AfterValidator(name_checked)
    ]
    period: QuotaPeriod
    limit: _Limit
    hard: Flag = False
    timezone: Annotated[str, Field(max_length=64, examples=["Europe/Berlin"])] = "UTC"
    thresholds: ThresholdsBody | None = None
    emails: Annotated[list[Annotated[Text, Field(max_length=254)]], AtMost(20)] = Field(default_factory=list[str])
    active: Flag = True

    def spec(self) -> QuotaSpec:
        """Return the specification of the quota."""
        given = self.thresholds
        return QuotaSpec(
            owner_id=self.owner_id,
            meter=self.meter,
            period=self.period,
            limit=self.limit,
            hard=self.hard,
            timezone=self.timezone,
            thresholds=Thresholds(given.warning, given.critical, given.exceeded) if given else None,
            emails=tuple(self.emails),
            active=self.active,
        )


class QuotasQuery(PageQuery):
    """Filters of quotas."""

    owner_id: str | None = None
    meter: str | None = None


class QuotaCheckQuery(LooseBody):
    """The owner of the quotas, and a meter."""

    owner_id: Annotated[Text, Field(min_length=1, max_length=255, examples=["ada"])]
    meter: str | None = None


class AlertsQuery(PageQuery):
    """Filters of alerts; `from` is included, `to` is excluded."""

    owner_id: str | None = None
    quota_id: UUID | None = None
    meter: str | None = None
    level: Level | None = None
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")


class ThresholdsAnswer(Answer):
    """The percentages at which each level begins."""

    warning: Decimal
    critical: Decimal
    exceeded: Decimal


class QuotaAnswer(Answer):
    """One quota."""

    id: UUID
    owner_id: str
    meter: str
    period: QuotaPeriod
    limit: Decimal
    hard: bool
    timezone: str
    thresholds: ThresholdsAnswer | None
    emails: list[str]
    active: bool
    created_at: datetime
    updated_at: datetime


class PredictionAnswer(Answer):
    """The expected use at the current pace."""

    projected: Decimal
    per_day: Decimal
    runs_out_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None


class QuotaStatusAnswer(Answer):
    """The status of a quota."""

    quota: QuotaAnswer
    at: datetime
    period_start: datetime
    period_end: datetime
    used: Decimal
    remaining: Decimal
    percent: Decimal | None
    level: Level | None
    prediction: PredictionAnswer | None


class DeliveryAnswer(Answer):
    """The delivery of an alert by one channel."""

    channel: str
    status: str
    attempts: int
    delivered_at: datetime | None
    last_error: str | None


class AlertAnswer(Answer):
    """One alert of the history."""

    id: UUID
    quota_id: UUID
    owner_id: str
    meter: str
    period: QuotaPeriod
    period_start: datetime
    period_end: datetime
    level: Level
    percent: Decimal | None
    used: Decimal
    limit: Decimal
    superseded: bool
    runs_out_at: datetime | None
    fired_at: datetime
    deliveries: list[DeliveryAnswer]


def quota_answer(quota: Quota) -> QuotaAnswer:
    """Return one quota."""
    given = quota.spec.thresholds
    return QuotaAnswer.of(
        quota.spec,
        id=quota.id,
        thresholds=ThresholdsAnswer.of(given) if given else None,
        emails=list(quota.spec.emails),
        created_at=quota.created_at,
        updated_at=quota.updated_at,
    )


def status_answer(status: QuotaStatus) -> QuotaStatusAnswer:
    """Return the status of one quota."""
    return QuotaStatusAnswer.of(
        status,
        quota=quota_answer(status.quota),
        period_start=status.window.start,
        period_end=status.window.end,
        prediction=PredictionAnswer.of(status.prediction) if status.prediction else None,
    )


def alert_answer(alert: Alert) -> AlertAnswer:
    """Return one alert."""
    return AlertAnswer.of(alert, deliveries=[DeliveryAnswer.of(delivery) for delivery in alert.deliveries])
