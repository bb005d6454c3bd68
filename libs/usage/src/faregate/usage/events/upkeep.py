"""Scheduled maintenance: partitions ahead of time, deletion of old ids."""

from datetime import timedelta

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, Partitions, months_between
from faregate.usage.events.repository import EventRepository

__all__ = ["EventUpkeep"]

_MONTHS_AHEAD = 3


class EventUpkeep:
    """Maintains the tables of events; safe to repeat, in any process. `dedupe_days`: how long ids of events are kept."""

    def __init__(
        self,
        database: Database,
        repository: EventRepository,
        partitions: Partitions,
        clock: IClock,
        *,
        dedupe_days: float = 40,
    ) -> None:
        self._database = database
        self._repository = repository
        self._partitions = partitions
        self._clock = clock
        self._dedupe_days = dedupe_days

    async def make_partitions(self) -> None:
        """Create the partitions of this month and the next three."""
        month = Month.of(self._clock.now())
        await self._partitions.ensure(months_between(month, month.after(_MONTHS_AHEAD)))

    async def forget(self) -> None:
        """Delete ids and rejections that are older than the deduplication window."""
        before = self._clock.now() - timedelta(days=self._dedupe_days)
        await self._database.run(lambda session: self._repository.forget(session, before=before))
