"""Values of service-level objectives, burn rates and statuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from faregate.analytics.insights.values import InsightResult
from faregate.analytics.question.filters import Filters
from faregate.analytics.quotas.levels import Level
from faregate.core.errors import InvalidError

__all__ = [
    "BurnAlert",
    "BurnRate",
    "BurnRule",
    "Counted",
    "Indicator",
    "Objective",
    "ObjectiveScope",
    "ObjectiveSpec",
    "ObjectiveStatus",
]

_HUNDRED = Decimal(100)
_LONGEST_DAYS = 90
_LONGEST_MS = 3_600_000


class ObjectiveScope(StrEnum):
    """What an objective is about."""

    TOTAL = "total"
    SERVICE = "service"
    FEATURE = "feature"
    MODEL = "model"


class Indicator(StrEnum):
    """What makes a request good: that it did not fail, or that it took no longer than the threshold."""

    AVAILABILITY = "availability"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class ObjectiveSpec:
    """The declaration of an objective.

    Attributes:
        value: the service, feature or model; None for all use.
        target_percent: the part of the requests that must be good.
        threshold_ms: of latency, the longest time of a good request.
        window_days: the length of the rolling window, the running day (UTC) included.

    Raises:
        InvalidError: the fields do not fit together.
    """

    name: str
    indicator: Indicator
    target_percent: Decimal
    scope: ObjectiveScope = ObjectiveScope.TOTAL
    value: str | None = None
    threshold_ms: int | None = None
    window_days: int = 30
    active: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.target_percent < _HUNDRED:
            raise InvalidError("targetPercent must be above 0 and below 100, such as 99.9", param="targetPercent")
        if not 1 <= self.window_days <= _LONGEST_DAYS:
            raise InvalidError(f"windowDays must be 1 to {_LONGEST_DAYS}", param="windowDays")
        if (self.scope is ObjectiveScope.TOTAL) != (self.value is None):
            raise InvalidError(
                "value must name the service, feature or model; leave it out for the scope total", param="value"
            )
        if (self.indicator is Indicator.LATENCY) != (self.threshold_ms is not None):
            raise InvalidError("thresholdMs is required for latency, and only for latency", param="thresholdMs")
        if self.threshold_ms is not None and not 1 <= self.threshold_ms <= _LONGEST_MS:
            raise InvalidError(f"thresholdMs must be 1 to {_LONGEST_MS}", param="thresholdMs")

    @property
    def filters(self) -> Filters:
        """The filters of the facts that count."""
        return Filters() if self.value is None else Filters(**{self.scope.value: self.value})

    @property
    def budget(self) -> Decimal:
        """The part of the requests that may be bad."""
        return 1 - self.target_percent / _HUNDRED

    @property
    def window(self) -> timedelta:
        """The length of the window."""
        return timedelta(days=self.window_days)

    @property
    def about(self) -> str:
        """What the objective is about, in words."""
        return "all use" if self.value is None else f"{self.scope.value} {self.value}"


@dataclass(frozen=True, slots=True)
class Counted:
    """The requests of a span, and the bad ones among them."""

    total: int
    bad: int


@dataclass(frozen=True, slots=True)
class BurnRule:
    """One rule of alerts: it fires if the budget burns too fast in both spans, and ends when it no longer does in the long one.

    Attributes:
        share: the part of the error budget that the long span may use before the rule fires.
    """

    name: str
    level: Level
    share: Decimal
    long: timedelta
    short: timedelta


@dataclass(frozen=True, slots=True)
class BurnRate:
    """How fast the budget burns in the spans of one rule: 1 uses it up in exactly one window. None without enough requests.

    Attributes:
        threshold: the rate from which the rule fires.
        counted: the requests of the long span.
    """

    rule: BurnRule
    threshold: Decimal
    long: Decimal | None
    short: Decimal | None
    counted: Counted

    @property
    def fires(self) -> bool:
        """Whether the budget burns too fast in both spans."""
        return all(rate is not None and rate >= self.threshold for rate in (self.long, self.short))

    @property
    def lasts(self) -> bool:
        """Whether a rule that has fired still holds: short pauses do not end it."""
        return self.long is not None and self.long >= self.threshold


@dataclass(frozen=True, slots=True)
class BurnAlert:
    """An alert of an objective; `ended_at` is None while the budget still burns too fast."""

    rule: str
    level: Level
    fired_at: datetime
    ended_at: datetime | None
    deliveries: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective as it is stored; `revision` increases when what it counts changes."""

    spec: ObjectiveSpec
    revision: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ObjectiveStatus:
    """An objective with its last status, which the worker renews every minute.

    Attributes:
        result: None until the first check.
        alerts: the newest ones, the latest first.
    """

    objective: Objective
    checked_at: datetime | None
    result: InsightResult | None
    alerts: Sequence[BurnAlert] = ()

    @property
    def answer(self) -> dict[str, Any]:
        """The values of the status; empty without enough requests."""
        return dict(self.result.answer) if self.result is not None else {}
