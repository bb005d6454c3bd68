"""What the worker does by the clock."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.delivering import AlertDeliverer
from faregate.analytics.quotas.service import QuotaService
from faregate.core.database import Database
from faregate.core.failpoints import failpoint
from faregate.core.logging import get_logger
from faregate.core.schedule import Job
from faregate.credit.service import CreditService

__all__ = ["make_jobs"]

log = get_logger(__name__)

_SWEEP_SIZE = 500
_WATCH_QUOTAS_SECONDS = 30.0


def make_jobs(
    database: Database, credit: CreditService, quotas: QuotaService, deliverer: AlertDeliverer
) -> Sequence[Job]:
    """Return the jobs of a worker."""

    async def sweep_wallets() -> None:
        await _sweep_wallets(database, credit)

    async def watch_quotas() -> None:
        """Fire the alerts that are due, and deliver what waits."""
        fired = await quotas.check()
        delivered = await deliverer.deliver_due()
        if fired or delivered:
            log.info("quotas_watched", fired=len(fired), delivered=delivered)

    return [
        Job("sweep_wallets", 5.0, sweep_wallets),
        Job("watch_quotas", _WATCH_QUOTAS_SECONDS, watch_quotas),
    ]


async def _sweep_wallets(database: Database, credit: CreditService) -> None:
    """Expire holds and grants, begin and renew grants; hygiene, since no answer waits for it."""

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
