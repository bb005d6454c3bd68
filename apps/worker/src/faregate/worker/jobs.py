"""Scheduled jobs of the worker."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.reports.service import ReportService
from faregate.core.access.idempotency import IdempotencyStore
from faregate.core.db.database import Database
from faregate.core.db.schedule import Job
from faregate.core.logging import get_logger
from faregate.core.runtime.failpoints import failpoint
from faregate.credit.services.credits import CreditService
from faregate.feature_log.retention import LogRetention
from faregate.usage.events.upkeep import EventUpkeep

__all__ = ["make_jobs"]

log = get_logger(__name__)

_SWEEP_SIZE = 500
_ANSWERS_AT_ONCE = 5000


def make_jobs(
    database: Database,
    credit: CreditService,
    answers: IdempotencyStore,
    upkeep: EventUpkeep,
    log_retention: LogRetention,
    reports: ReportService,
    metering: Sequence[Job],
) -> Sequence[Job]:
    """Return the jobs of a worker."""

    async def sweep_wallets() -> None:
        await _sweep_wallets(database, credit)

    async def forget_answers() -> None:
        await _forget_answers(answers)

    return [
        Job("sweep_wallets", 5.0, sweep_wallets),
        Job("forget_answers", "7 4 * * *", forget_answers),
        Job("make_event_partitions", "17 3 * * *", upkeep.make_partitions),
        Job("forget_event_keys", "47 3 * * *", upkeep.forget),
        Job("keep_feature_logs", 3600.0, log_retention.sweep),
        Job("forget_reports", "57 3 * * *", reports.forget),
        *metering,
    ]


async def _sweep_wallets(database: Database, credit: CreditService) -> None:
    """Expire holds and grants, begin and renew grants. This is maintenance: no answer waits for it."""

    async def sweep(session: AsyncSession) -> int:
        count = await credit.sweep(session, limit=_SWEEP_SIZE)
        if count:
            failpoint("sweeping")
        return count

    swept = 0
    while count := await database.run(sweep):
        swept += count
        if count < _SWEEP_SIZE:
            break
    if swept:
        log.info("wallets_swept", wallets=swept)


async def _forget_answers(answers: IdempotencyStore) -> None:
    """Delete stored answers of `Idempotency-Key`s whose retention is over, one batch in each transaction."""
    forgotten = 0
    while count := await answers.forget_old(limit=_ANSWERS_AT_ONCE):
        forgotten += count
    if forgotten:
        log.info("answers_forgotten", answers=forgotten)
