"""Scheduled jobs, each run once, with any number of workers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronsim import CronSim

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.read_scope import repeated_on_primary
from faregate.core.db.sql import JOB_ADD, JOB_CLAIM, JOB_FINISH, JOB_GIVE_BACK, JOB_RENEW
from faregate.core.errors import ConfigurationError, EngineUnavailableError
from faregate.core.logging import get_logger

__all__ = ["Job", "Schedule"]

log = get_logger(__name__)

_LEASE = timedelta(seconds=60)
_RENEW_SECONDS = 15.0
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Job:
    """A job to run repeatedly.

    `when` is a cron expression (five fields, UTC) or a number of seconds between the end of one run and the next.
    """

    name: str
    when: str | float
    run: Callable[[], Awaitable[object]]

    def next_after(self, moment: datetime) -> datetime:
        """Return the time of the next run, later than `moment`."""
        if isinstance(self.when, str):
            return next(CronSim(self.when, moment))
        return moment + timedelta(seconds=self.when)


class Schedule:
    """Runs the jobs that are due. A row per job in `scheduled_job` holds the time of its next run, and a lease excludes other
    workers.

    A worker renews the lease while its job runs. The lease of one that dies ends after a minute; then another worker runs the
    job. A worker that could not renew it, such as one that was cut off, ends its run. So jobs must be safe to repeat.
    """

    def __init__(self, database: Database, clock: IClock, jobs: Sequence[Job]) -> None:
        names = [job.name for job in jobs]
        if len(set(names)) != len(names):
            raise ConfigurationError(f"two jobs share a name: {sorted(names)}")
        self._database = database
        self._clock = clock
        self._jobs = {job.name: job for job in jobs}
        self._added = False

    async def run_due(self) -> int:
        """Run each due job once; return how many ran. A failure is logged, stored on the job's row and retried at the next time."""
        if not self._added:
            await self._add()
        ran = 0
        while (claim := await self._claim()) is not None:
            await self._run(*claim)
            ran += 1
        return ran

    async def run_until(
        self, stop: asyncio.Event, *, poll_seconds: float = 1.0, grace_seconds: float = _GRACE_SECONDS
    ) -> None:
        """Run due jobs until `stop` is set; a job still running `grace_seconds` later is cancelled and immediately due again."""
        stopping = asyncio.create_task(stop.wait())
        running: asyncio.Task[None] | None = None
        try:
            while not stop.is_set():
                running = asyncio.create_task(self._run_due())
                await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.wait({running}, timeout=grace_seconds)
                await asyncio.wait({stopping}, timeout=poll_seconds)
        finally:
            for task in (stopping, running):
                if task is not None:
                    task.cancel()
                    await asyncio.wait({task})

    async def _run_due(self) -> None:
        try:
            await self.run_due()
        except Exception:
            log.warning("schedule_interrupted", exc_info=True)

    async def _add(self) -> None:
        async with self._database.transaction() as session:
            await self._database.rows(session, JOB_ADD, names=list(self._jobs), now=self._clock.now())
        self._added = True

    async def _claim(self) -> tuple[Job, datetime] | None:
        """Return a due job and when this run of it was claimed, which identifies the run."""
        async with self._database.transaction() as session:
            rows = await self._database.rows(
                session, JOB_CLAIM, names=list(self._jobs), now=self._clock.now(), lease=_LEASE
            )
        return (self._jobs[rows[0].name], rows[0].last_started_at) if rows else None

    async def _run(self, job: Job, claimed_at: datetime) -> None:
        error: str | None = None
        try:
            await self._run_leased(job, claimed_at)
        except asyncio.CancelledError:
            log.info("job_cut_off", job=job.name)
            await self._give_back(job, claimed_at)
            raise
        except _LeaseLostError:
            log.warning("job_lease_lost", job=job.name)
            return
        except Exception as problem:
            log.error("job_failed", job=job.name, exc_info=True)
            error = f"{type(problem).__name__}: {problem}"
        now = self._clock.now()
        async with self._database.transaction() as session:
            await self._database.rows(
                session,
                JOB_FINISH,
                name=job.name,
                claimed_at=claimed_at,
                now=now,
                next_at=job.next_after(now),
                error=error,
            )

    async def _run_leased(self, job: Job, claimed_at: datetime) -> None:
        """Run the job while the lease is renewed; cancel it if another worker has taken it over."""
        running = asyncio.ensure_future(repeated_on_primary(job.run))
        renewing = asyncio.create_task(self._renew(job, claimed_at))
        try:
            await asyncio.wait({running, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                raise _LeaseLostError
            await running
        finally:
            for task in (running, renewing):
                task.cancel()
            await asyncio.wait({running, renewing})

    async def _renew(self, job: Job, claimed_at: datetime) -> None:
        """Renew the lease of a run; return when another worker has taken it over."""
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            try:
                async with self._database.transaction() as session:
                    until = self._clock.now() + _LEASE
                    rows = await self._database.rows(
                        session, JOB_RENEW, name=job.name, claimed_at=claimed_at, until=until
                    )
            except EngineUnavailableError:
                continue  # the job will notice it, too; the lease has time for two more attempts
            if not rows:
                return

    async def _give_back(self, job: Job, claimed_at: datetime) -> None:
        async with self._database.transaction() as session:
            await self._database.rows(session, JOB_GIVE_BACK, name=job.name, claimed_at=claimed_at)


class _LeaseLostError(Exception):
    """Another worker has taken the job over."""
