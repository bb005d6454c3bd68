"""Values of quotas: specification, status, alert."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from faregate.analytics.quotas.levels import Level, Thresholds
from faregate.analytics.quotas.periods import QuotaPeriod, Window
from faregate.analytics.quotas.prediction import Prediction

__all__ = [
    "EVERYBODY",
    "Alert",
    "AlertDelivery",
    "AlertFilter",
    "Quota",
    "QuotaSpec",
    "QuotaStatus",
    "UsageQuestion",
]

EVERYBODY = "*"
"""The owner id of a quota on the whole deployment."""


@dataclass(frozen=True, slots=True)
class QuotaSpec:
    """The specification of a quota.

    Attributes:
        owner_id: a user id, `org:<id>`, or `*` for everybody together.
        meter: what is counted: `requests`, `tokens`, `credits`, `cost_usd`, or the name of a meter.
        limit: in the meter's unit; 0 allows nothing.
        hard: refuse the start of uses once the limit is reached; otherwise only fire alerts.
        thresholds: None for the deployment's.
        emails: recipients besides those of the deployment.
    """

    owner_id: str
    meter: str
    period: QuotaPeriod
    limit: Decimal
    hard: bool = False
    timezone: str = "UTC"
    thresholds: Thresholds | None = None
    emails: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota as it is stored; `revision` increases when its limit or thresholds change; then its alerts may fire again."""

    id: UUID
    subject_id: int | None
    revision: int
    spec: QuotaSpec
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """The question for the use of `meter` by `subject_id` (everybody if None) from `start` until before `end`."""

    subject_id: int | None
    organization: bool
    meter: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """The status of a quota at `at`."""

    quota: Quota
    at: datetime
    window: Window
    used: Decimal
    remaining: Decimal
    percent: Decimal | None
    level: Level | None
    prediction: Prediction | None


@dataclass(frozen=True, slots=True)
class Alert:
    """One level of one quota, reached in one period; it fires once.

    Attributes:
        superseded: a more urgent level was reached at the same time, and only that one is delivered.
        runs_out_at: of a prediction, when the quota is expected to run out.
        test: it only tests the channels; no quota was reached.
        notice: it reports an anomaly, a budget or an objective (`about`), and this is its sentence. Of an anomaly `quota_id` is the
            id, `used` what was measured, and `limit` what was usual; of an objective `used` is the burn rate, and `limit` the
            highest allowed.
    """

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
    hard: bool
    superseded: bool
    runs_out_at: datetime | None
    emails: tuple[str, ...]
    fired_at: datetime
    deliveries: tuple["AlertDelivery", ...] = ()
    test: bool = False
    notice: str | None = None
    about: Literal["quota", "anomaly", "budget", "objective"] = "quota"


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """The status of the delivery of one alert by one channel."""

    channel: str
    status: str
    attempts: int
    delivered_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Filters of alerts; None means any value."""

    owner_id: str | None = None
    quota_id: UUID | None = None
    meter: str | None = None
    level: Level | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
    before: UUID | None = None
