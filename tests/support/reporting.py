"""Reports with a clock that the test sets, and usage of a fortnight."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from faregate.analytics.reports.delivering import ReportDeliverer
from faregate.analytics.reports.service import ReportService
from faregate.analytics.reports.values import ReportKind, ReportSpec
from faregate.core.clock import FixedClock
from faregate.core.settings import load_settings
from faregate.worker.container import WorkerContainer

__all__ = ["MONDAY", "WEEKLY", "Office", "fortnight", "open_office"]

MONDAY = datetime(2026, 6, 15, 6, 59, tzinfo=UTC)
"""One minute before weekly reports are due."""

WEEKLY = ReportSpec("team", ReportKind.WEEKLY, ("ops@example.com",))


@dataclass(frozen=True)
class Office:
    """What tests of reports use."""

    container: WorkerContainer
    clock: FixedClock

    @property
    def service(self) -> ReportService:
        return self.container.report_service()

    @property
    def deliverer(self) -> ReportDeliverer:
        return self.container.report_deliverer()

    async def record(self, facts: Sequence[dict[str, Any]]) -> None:
        report = await self.container.recorder().record(facts)
        assert report.rejected == ()

    async def run(self, **later: float) -> int:
        """Do what the worker does, after some time; return the number of mails sent."""
        self.clock.advance(**later)
        await self.service.queue_due()
        return await self.deliverer.send_due()

    async def statuses(self, name: str = WEEKLY.name) -> list[str]:
        return [each.status.value for each in await self.service.deliveries(name)]


@asynccontextmanager
async def open_office(database_url: str, smtp_url: str | None = None, **more: Any) -> AsyncGenerator[Office]:
    settings = load_settings(database_url=database_url, smtp_url=smtp_url, late_event_days=3650, **more)
    clock = FixedClock(MONDAY)
    container = WorkerContainer(settings=settings, clock=clock)
    async with container.engines():
        yield Office(container, clock)


def fortnight(user: str = "ada", **more: Any) -> list[dict[str, Any]]:
    """Return a use at noon of each of the fourteen days before `MONDAY`: 10 credits a day in the first week, 20 in the second."""
    facts: list[dict[str, Any]] = []
    for day in range(14):
        noon = MONDAY.replace(hour=12, minute=0) - timedelta(days=14 - day)
        key = f"{user}-{day}"
        common = {"user_id": user, "service": "chat", "feature_key": "chat", "usage_key": key, "time": noon, **more}
        facts.append({**common, "id": f"{key}-r", "kind": "request", "latency_ms": 900, "status": 200})
        facts.append(
            {
                **common, "id": f"{key}-l", "kind": "line", "model": "gpt-4o", "provider": "openai", "input_tokens": 100,
                "output_tokens": 20, "credits": Decimal(10 if day < 7 else 20), "cost_usd": Decimal("0.05"),
            }
        )  # fmt: skip
    return facts
