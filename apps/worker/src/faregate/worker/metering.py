"""Scheduled jobs of metering: rollups, columnar copy, quotas, archives, exports, insights."""

from collections.abc import Sequence

from faregate.analytics.columnar.copier import ColumnarCopier
from faregate.analytics.days.service import DayExport
from faregate.analytics.insights.job import InsightJobs
from faregate.analytics.insights.operations.job import OperationsJobs
from faregate.analytics.quotas.delivering import AlertDeliverer
from faregate.analytics.quotas.service import QuotaService
from faregate.analytics.retention.archiving import EventArchive
from faregate.analytics.rollups.job import Roller
from faregate.core.db.schedule import Job
from faregate.core.logging import get_logger

__all__ = ["metering_jobs"]

log = get_logger(__name__)

_WATCH_QUOTAS_SECONDS = 30.0
_ROLL_UP_SECONDS = 2.0
"""Seldom enough that an idle database does little, often enough that the sums of a busy one come in short steps: while a long one
runs, settlements wait for a processor."""
_COPY_SECONDS = 15.0


def metering_jobs(
    quotas: QuotaService,
    deliverer: AlertDeliverer,
    roller: Roller,
    copier: ColumnarCopier,
    archive: EventArchive,
    insights: InsightJobs,
    operations: OperationsJobs,
    days: DayExport,
) -> Sequence[Job]:
    """Return the jobs of metering."""

    async def watch_quotas() -> None:
        """Fire the alerts that are due, and deliver waiting ones."""
        fired = await quotas.check()
        delivered = await deliverer.deliver_due()
        if fired or delivered:
            log.info("quotas_watched", fired=len(fired), delivered=delivered)

    async def archive_events() -> None:
        """Archive months of usage events whose retention is over, if the settings name a directory for archives."""
        if archive.configured:
            await archive.archive()

    async def export_days() -> None:
        """Write the files of days that are over, if the settings name a place for them."""
        if days.configured:
            await days.run()

    return [
        Job("roll_up", _ROLL_UP_SECONDS, roller.run),
        Job("copy_facts", _COPY_SECONDS, copier.run),
        Job("watch_quotas", _WATCH_QUOTAS_SECONDS, watch_quotas),
        Job("archive_events", "27 3 * * *", archive_events),
        Job("export_days", "12 1 * * *", export_days),
        Job("find_anomalies", "4 * * * *", insights.hourly),
        Job("deliver_anomalies", 60.0, insights.deliver),
        Job("make_insights", "37 2 * * *", insights.daily),
        Job("watch_objectives", 60.0, operations.watch),
        Job("measure_capacity", "32 2 * * *", operations.daily),
    ]
