"""What usage events need by the clock: months ahead, and an end to what is remembered of ids."""

from datetime import timedelta

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, Partitions, months_between
from faregate.usage.events.repository import EventRepository

__all__ = ["EventUpkeep"]

_MONTHS_AHEAD = 3


class EventUpkeep:
    """Safe to repeat, anywhere. `dedupe_days`: how long the ids of events are remembered."""

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
        """Make the partitions of this month and the next three."""
        month = Month.of(self._clock.now())
        await self._partitions.ensure(months_between(month, month.after(_MONTHS_AHEAD)))

    async def forget(self) -> None:
        """Forget ids and rejections that are older than the dedupe window."""
        before = self._clock.now() - timedelta(days=self._dedupe_days)
        await self._database.run(lambda session: self._repository.forget(session, before=before))
