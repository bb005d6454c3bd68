"""What a quota is, how it stands, and what is told about it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
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
"""The owner id of a quota that counts the whole deployment."""


@dataclass(frozen=True, slots=True)
class QuotaSpec:
    """A quota as somebody sets it.

    Attributes:
        owner_id: a user id, `org:<id>`, or `*` for everybody together.
        meter: what is counted: `requests`, `tokens`, `credits`, `cost_usd`, or the name of a meter.
        limit: in the meter's unit; 0 allows nothing.
        hard: refuse to start a use once the limit is reached; otherwise only tell.
        thresholds: None for the deployment's.
        emails: who is told beside those whom the deployment tells.
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
    """A quota as it is stored; `revision` grows when its limit or thresholds change, and alerts begin again."""

    id: UUID
    subject_id: int | None
    revision: int
    spec: QuotaSpec
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """How much of `meter` did `subject_id` (everybody if None) use from `start` until before `end`?"""

    subject_id: int | None
    organization: bool
    meter: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """How a quota stands at `at`."""

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
    """One level of one quota, reached in one period: told once.

    Attributes:
        superseded: a more urgent level was reached at the same time, and only that one is delivered.
        runs_out_at: of a prediction, when the quota is expected to run out.
        test: it only tries the channels; no quota was reached.
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


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """How the delivery of one alert by one channel went so far."""

    channel: str
    status: str
    attempts: int
    delivered_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts to list; what is None does not matter."""

    owner_id: str | None = None
    quota_id: UUID | None = None
    meter: str | None = None
    level: Level | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
    before: UUID | None = None
