"""Values of budgets: specification, status, outlook."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from faregate.analytics.insights.values import Evidence
from faregate.analytics.quotas.levels import Level, Thresholds
from faregate.analytics.quotas.periods import QuotaPeriod, Window

__all__ = ["Budget", "BudgetAlert", "BudgetOutlook", "BudgetScope", "BudgetSpec", "BudgetStatus", "BudgetUnit"]

BudgetUnit = Literal["credits", "cost_usd"]


class BudgetScope(StrEnum):
    """What a budget is for."""

    BUSINESS = "business"
    FEATURE = "feature"
    MODEL = "model"
    ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True)
class BudgetSpec:
    """The specification of a budget.

    Attributes:
        name: identifies it.
        value: the feature, the model, or the id of the organisation; None for the whole business.
        unit: `credits` counts the credits of uses, charged or not; `cost_usd` the provider cost.
        amount: of each period.
        thresholds: None for the deployment's.
        emails: recipients besides those of the deployment.
    """

    name: str
    scope: BudgetScope
    value: str | None
    unit: BudgetUnit
    amount: Decimal
    period: QuotaPeriod = QuotaPeriod.MONTH
    timezone: str = "UTC"
    thresholds: Thresholds | None = None
    emails: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class Budget:
    """A budget as it is stored; `revision` increases when what it counts, its amount or its thresholds change."""

    spec: BudgetSpec
    revision: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BudgetOutlook:
    """What the whole period is expected to use, with an interval; the dates are those on which the budget is used up.

    Attributes:
        runs_out_at: the period of the forecast (a day or a month) in which the expected use reaches the amount; None if not before
            the end.
        earliest_at, latest_at: the same at the upper and the lower end of the intervals.
    """

    expected: Decimal
    low: Decimal
    high: Decimal
    runs_out_at: datetime | None
    earliest_at: datetime | None
    latest_at: datetime | None


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """An alert that was fired; `deliveries` are (channel, status)."""

    level: Level
    fired_at: datetime
    deliveries: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """The status of a budget at `at`.

    Attributes:
        elapsed: the fraction of the period that has passed, from 0 to 1.
        burn: the used fraction of the amount divided by `elapsed`; 1 uses it up exactly at the end of the period.
        outlook: None without enough history, or without the extra `insights`; `evidence` says which.
        alerts: those of this period.
    """

    budget: Budget
    at: datetime
    window: Window
    used: Decimal
    percent: Decimal | None
    elapsed: Decimal
    burn: Decimal | None
    level: Level | None
    outlook: BudgetOutlook | None
    evidence: Evidence
    alerts: Sequence[BudgetAlert] = ()
