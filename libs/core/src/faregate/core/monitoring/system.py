"""State of the deployment: processes, jobs, queues."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from faregate.core.db.database import Database
from faregate.core.monitoring.gauges import Gauge, IGauges
from faregate.core.monitoring.sql import JOBS, PROCESSES

__all__ = ["JobState", "ProcessState", "SystemState", "SystemStatus"]


@dataclass(frozen=True, slots=True)
class ProcessState:
    """The last report of a process; `settled_until` as in `HeartbeatRow`."""

    instance: str
    role: str
    settled_until: datetime | None
    reported_at: datetime


@dataclass(frozen=True, slots=True)
class JobState:
    """A scheduled job; `leased_until`: a worker runs it now, until then at most."""

    name: str
    next_at: datetime
    leased_until: datetime | None
    last_started_at: datetime | None
    last_finished_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class SystemState:
    """The state at one moment."""

    processes: Sequence[ProcessState]
    jobs: Sequence[JobState]
    gauges: Sequence[Gauge]


class SystemStatus:
    """Reads the state of the deployment from the database and the queues."""

    def __init__(self, database: Database, gauges: IGauges) -> None:
        self._database = database
        self._gauges = gauges

    async def state(self) -> SystemState:
        """Return the state now; gauges of an unavailable engine are left out."""
        async with self._database.transaction(read_only=True) as session:
            processes = await self._database.rows(session, PROCESSES)
            jobs = await self._database.rows(session, JOBS)
        return SystemState(
            [ProcessState(row.instance, row.role, row.settled_until, row.reported_at) for row in processes],
            [
                JobState(
                    row.name, row.next_at, row.leased_until, row.last_started_at, row.last_finished_at, row.last_error
                )
                for row in jobs
            ],
            await self._gauges.gauges(),
        )
