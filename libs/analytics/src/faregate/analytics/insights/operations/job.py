"""Scheduled checks of objectives, and samples of capacity."""

from faregate.analytics.insights.numeric import is_installed
from faregate.analytics.insights.operations.capacity.service import CapacityService
from faregate.analytics.insights.operations.objectives.service import ObjectiveService
from faregate.analytics.quotas.delivering import AlertDeliverer
from faregate.core.logging import get_logger

__all__ = ["OperationsJobs"]

log = get_logger(__name__)


class OperationsJobs:
    """Watches objectives, and keeps one sample of capacity a day."""

    def __init__(
        self, objectives: ObjectiveService, capacity: CapacityService, deliverer: AlertDeliverer, *, timezone: str
    ) -> None:
        self._objectives = objectives
        self._capacity = capacity
        self._deliverer = deliverer
        self._timezone = timezone

    async def watch(self) -> None:
        """Measure the objectives, fire and end their alerts, and deliver those that are due."""
        fired = await self._objectives.check()
        if fired:
            log.info("objectives_missed", alerts=fired)
        await self._deliverer.deliver_due()

    async def daily(self) -> None:
        """Keep the capacity of the day; does nothing without the extra."""
        if is_installed():
            await self._capacity.capacity(self._timezone)
