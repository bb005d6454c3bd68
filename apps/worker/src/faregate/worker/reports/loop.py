"""Loop that queues and sends reports."""

import asyncio
import contextlib

from faregate.analytics.reports.delivering import ReportDeliverer
from faregate.analytics.reports.service import ReportService
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger

__all__ = ["ReportLoop"]

log = get_logger(__name__)


class ReportLoop:
    """Queues reports that are due and sends them; not a job of the schedule, because a thousand mails would hold up the others."""

    def __init__(self, service: ReportService, deliverer: ReportDeliverer, *, poll_seconds: float = 5.0) -> None:
        self._service = service
        self._deliverer = deliverer
        self._poll_seconds = poll_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Queue and send until `stop` is set; finish mails that have begun."""
        while not stop.is_set():
            try:
                await self.run_due(stop)
            except EngineUnavailableError as error:
                log.warning("reports_wait", reason=error.detail)
            except Exception:
                log.error("reports_interrupted", exc_info=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._poll_seconds)

    async def run_due(self, stop: asyncio.Event) -> None:
        """Queue the reports that are due, and send those that wait, until `stop` is set."""
        queued = await self._service.queue_due()
        sent = await self._deliverer.send_due(stop=stop)
        if queued or sent:
            log.info("reports_sent", queued=queued, sent=sent)
