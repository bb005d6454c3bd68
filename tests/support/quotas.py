"""Quotas with a meter set by the test."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.container import QuotasContainer
from faregate.analytics.quotas.delivering import AlertDeliverer
from faregate.analytics.quotas.interfaces import IAlertChannel
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.service import QuotaService
from faregate.analytics.quotas.values import Alert, QuotaSpec, UsageQuestion
from faregate.core.clock import FixedClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.errors import EngineUnavailableError
from faregate.core.settings import Settings

__all__ = ["NOON", "Inbox", "Ledger", "Quotas", "make_quotas", "spec"]

NOON = datetime(2026, 5, 14, 12, tzinfo=UTC)


@dataclass
class Ledger:
    """Uses with their times, summed on request: an `IUsageTotals` without tables."""

    uses: list[tuple[datetime, Decimal]] = field(default_factory=list)

    def use(self, at: datetime, quantity: int | str) -> None:
        self.uses.append((at, Decimal(quantity)))

    async def totals(self, _session: AsyncSession, questions: Sequence[UsageQuestion]) -> Sequence[Decimal]:
        return [sum((q for at, q in self.uses if ask.start <= at < ask.end), Decimal(0)) for ask in questions]


@dataclass
class Inbox:
    """An alert channel that keeps what it receives, and fails the first `refusals` deliveries."""

    name: str = "inbox"
    refusals: int = 0
    alerts: list[Alert] = field(default_factory=list)

    async def deliver(self, alert: Alert) -> None:
        if self.refusals > 0:
            self.refusals -= 1
            raise EngineUnavailableError("the inbox is closed")
        self.alerts.append(alert)


@dataclass(frozen=True)
class Quotas:
    service: QuotaService
    deliverer: AlertDeliverer
    clock: FixedClock
    ledger: Ledger


def make_quotas(
    database: Database, channels: Sequence[IAlertChannel] = (), *, now: datetime = NOON, ledger: Ledger | None = None
) -> Quotas:
    clock, ledger = FixedClock(now), ledger or Ledger()
    container = QuotasContainer(
        settings=Settings(),
        database=database,
        subjects=Subjects(database),
        totals=ledger,
        clock=clock,
        channels=list(channels),
    )
    return Quotas(container.service(), container.deliverer(), clock, ledger)


def spec(limit: int | str = 100, **changed: Any) -> QuotaSpec:
    given: dict[str, Any] = {
        "owner_id": "u1",
        "meter": "api",
        "period": QuotaPeriod.MONTH,
        "limit": Decimal(limit),
        **changed,
    }
    return QuotaSpec(**given)
