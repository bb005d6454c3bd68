"""Tour of metering: ten scenarios on a private database.

Each scenario calls the libraries and returns the figures that result.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from faregate.analytics.answers.trends import counted_as
from faregate.analytics.exports.formats import Format
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.analytics.quotas.levels import Level
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.values import AlertFilter, QuotaSpec
from faregate.analytics.retention.archiving import EventArchive
from faregate.core.clock import FixedClock
from faregate.usage.meters.meter import Meter
from faregate.worker.container import WorkerContainer

__all__ = ["SCENARIOS", "Scenario", "TourContext"]

Facts = Mapping[str, Any]
_METERS = ("api", "storage", "bandwidth", "compute", "database", "functions")
_MANY = 20_000
_STORAGE_PRICE_USD = Decimal("0.10")
_HOURS_PER_MONTH = 730


@dataclass(frozen=True, slots=True)
class TourContext:
    """What scenarios run on: the libraries on a private database, a directory for files, and one moment."""

    lib: WorkerContainer
    directory: Path
    now: datetime

    def last_days(self, days: int, **filters: Any) -> Question:
        """Return a question about the last days until tomorrow."""
        end = self.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return Question(TimeRange(end - timedelta(days=days), end), Filters(**filters))

    async def record(self, events: Sequence[Mapping[str, Any]]) -> Facts:
        """Record events and return the report."""
        report = await self.lib.recorder().record(list(events))
        return {"accepted": report.accepted, "duplicates": report.duplicates, "rejected": len(report.rejected)}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario of the tour."""

    title: str
    run: Callable[[TourContext], Awaitable[Facts]]


def _use(user_id: str, meter: str, quantity: Decimal | int, time: datetime) -> dict[str, Any]:
    return {"user_id": user_id, "meter": meter, "quantity": quantity, "time": time}


async def basic_tracking(tour: TourContext) -> Facts:
    """Record six meters with metadata, and send the same events again: they are not counted twice."""
    events = [
        {**_use("ada", meter, Decimal("1.5"), tour.now), "id": meter, "source": "tour", "metadata": {"page": "/users"}}
        for meter in _METERS
    ]
    first = await tour.record(events)
    again = await tour.record(events)
    return {**first, "duplicates": again["duplicates"]}


async def high_volume(tour: TourContext) -> Facts:
    """Record twenty thousand events in one stream, written by COPY."""

    async def chunks() -> AsyncGenerator[list[Mapping[str, Any]]]:
        for first in range(0, _MANY, 5_000):
            yield [
                {"user_id": f"user-{n % 50}", "meter": "api", "quantity": 1, "time": tour.now - timedelta(seconds=n)}
                for n in range(first, first + 5_000)
            ]

    report = await tour.lib.recorder().record_stream(chunks())
    return {"accepted": report.accepted}


async def aggregation(tour: TourContext) -> Facts:
    """Keep rollups of quarter hours, hours, days and months incrementally; the next answer includes a new event."""
    rolled = await tour.lib.roller().run()
    patterns, (api, _) = tour.lib.patterns(), counted_as("api", tour.last_days(3))
    before = (await patterns.stats(api)).total
    await tour.record([_use("ada", "api", 5, tour.now)])
    after = (await patterns.stats(api)).total
    return {"rolled_up": rolled, "before": before, "after": after}


async def reporting(tour: TourContext) -> Facts:
    """Report the total of each meter."""
    patterns, question = tour.lib.patterns(), tour.last_days(3)
    return {meter: (await patterns.stats(counted_as(meter, question)[0])).total for meter in _METERS}


async def alerting(tour: TourContext) -> Facts:
    """Alert at 75, 90 and 100 % of a quota of 100, once each."""
    service, deliverer = tour.lib.quota_service(), tour.lib.alert_deliverer()
    await service.put(QuotaSpec("ben", "storage", QuotaPeriod.YEAR, Decimal(100)))
    told: list[str] = []
    for quantity in (74, 1, 15, 10, 30):
        await tour.record([_use("ben", "storage", quantity, tour.now)])
        fired = [alert for alert in await service.check() if alert.level is not Level.PREDICTED]
        told += [f"{alert.level} at {alert.used:f}" for alert in fired]
        await deliverer.deliver_due()
    history = [a for a in await service.alerts(AlertFilter(owner_id="ben")) if a.level is not Level.PREDICTED]
    return {"told": told, "history": len(history), "delivered": sum(len(alert.deliveries) for alert in history)}


async def exporting(tour: TourContext) -> Facts:
    """Export CSV, JSON with a summary, and XLSX; each file is named by its dates."""
    question, sizes = tour.last_days(3, user_id="ada"), dict[str, Any]()
    for kind in (Format.CSV, Format.JSON, Format.XLSX):
        made = tour.lib.exports().events(question, kind)
        path = tour.directory / made.name
        with path.open("wb") as file:
            async with aclosing(made.chunks) as chunks:
                async for chunk in chunks:
                    file.write(chunk)
        sizes[made.name] = path.stat().st_size
    return {"files": sizes}


async def statistics(tour: TourContext) -> Facts:
    """Compute average, median, p95 and p99, the trend and the peak."""
    events = [
        {"user_id": "eve", "meter": "compute", "quantity": n, "time": tour.now - timedelta(days=n % 10)}
        for n in range(1, 101)
    ]
    await tour.record(events)
    patterns = tour.lib.patterns()
    question, amount = counted_as("compute", tour.last_days(12, user_id="eve"))
    stats = await patterns.stats(question)
    trend = await patterns.trends(question, amount=amount)
    peak = (await patterns.peaks(question, unit="day", amount=amount, limit=1))[0]
    return {
        "average": stats.average,
        "median": stats.median,
        "p95": stats.p95,
        "p99": stats.p99,
        "days": len(trend),
        "peak": peak.amount,
    }


async def api_monitoring(tour: TourContext) -> Facts:
    """Record requests with status and latency; compute error rate and percentiles of a service."""
    events = [
        {"user_id": f"user-{n % 9}", "service": "checkout", "latency_ms": 10 * n, "status": 200 if n % 20 else 500}
        for n in range(1, 101)
    ]
    await tour.record(events)
    metrics = await tour.lib.questions().metrics(tour.last_days(3, service="checkout"), exact=True)
    measures = metrics.measures
    return {
        "requests": measures.requests,
        "error_rate": measures.error_rate,
        "p95_ms": metrics.p95_ms,
        "users": metrics.unique_users,
    }


async def storage_billing(tour: TourContext) -> Facts:
    """Declare a meter with its price; gigabyte-hours of three customers become gigabyte-months and an amount."""
    meter = Meter("kept", "GB-month", unit_price_usd=_STORAGE_PRICE_USD, description="data kept, by size and time")
    await tour.lib.meters().declare(meter)
    events = [
        {
            "user_id": customer,
            "meter": "kept",
            "quantity": gigabytes / _HOURS_PER_MONTH,
            "time": tour.now - timedelta(hours=hour),
        }
        for customer, gigabytes in (("north", Decimal(73)), ("south", Decimal("7.3")), ("west", Decimal(0)))
        for hour in range(20)
    ]
    await tour.record(events)
    totals, bills = tour.lib.meter_totals(), dict[str, Any]()
    for customer in ("north", "south", "west"):
        found = {total.meter: total for total in await totals.totals(tour.last_days(3, user_id=customer))}
        bills[customer] = found["kept"].cost_usd
    return {"usd": bills}


async def maintenance(tour: TourContext) -> Facts:
    """As if a hundred days had passed, archive months, verify the archives and restore them; no sum changes."""
    analytics, settings = tour.lib.analytics.container, tour.lib.settings()
    archive = EventArchive(
        tour.lib.database(),
        analytics.partitions(),
        analytics.roller(),
        FixedClock(tour.now + timedelta(days=100)),
        directory=tour.directory / "archive",
        keep_days=40,
        late_days=settings.late_event_days,
    )
    question = tour.last_days(3, service="checkout")
    before = (await analytics.service().metrics(question)).measures.requests
    archived = await archive.archive()
    left = (await analytics.patterns().stats(counted_as("api", tour.last_days(3))[0])).count
    for manifest in archived:
        await archive.restore(manifest.month)
    after = (await analytics.service().metrics(question)).measures.requests
    return {"archived": sum(m.rows for m in archived), "left": left, "before": before, "after": after}


SCENARIOS = (
    Scenario("Basic usage tracking", basic_tracking),
    Scenario("High-volume batch processing", high_volume),
    Scenario("Usage aggregation", aggregation),
    Scenario("Usage reporting", reporting),
    Scenario("Usage alerts", alerting),
    Scenario("Export functionality", exporting),
    Scenario("Statistics and analytics", statistics),
    Scenario("Real-world API monitoring", api_monitoring),
    Scenario("Real-world storage billing", storage_billing),
    Scenario("Cleanup and maintenance", maintenance),
)
"""In the order in which they run."""
