"""Scheduled jobs run when they are due, once each, with any number of workers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from faregate.core.clock import FixedClock
from faregate.core.db import schedule as schedules
from faregate.core.db.database import Database
from faregate.core.db.schedule import Job, Schedule
from faregate.core.errors import ConfigurationError

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Counting:
    """A job that counts its runs, and can be made to fail."""

    def __init__(self) -> None:
        self.runs = 0
        self.fails = False

    async def run(self) -> None:
        self.runs += 1
        if self.fails:
            raise RuntimeError("broken")


async def test_a_job_runs_when_due_and_then_waits(database: Database) -> None:
    job, clock = Counting(), FixedClock(NOON)
    schedule = Schedule(database, clock, [Job("count", 60.0, job.run)])

    assert [await schedule.run_due() for _ in range(2)] == [1, 0]
    clock.advance(seconds=61)
    assert await schedule.run_due() == 1
    assert job.runs == 2


async def test_many_workers_run_a_job_once(database: Database) -> None:
    job, clock = Counting(), FixedClock(NOON)
    schedules = [Schedule(database, clock, [Job("count", 60.0, job.run)]) for _ in range(8)]

    await asyncio.gather(*(schedule.run_due() for schedule in schedules))

    assert job.runs == 1


async def test_a_failing_job_is_recorded_and_retried_at_its_next_time(database: Database) -> None:
    job, clock = Counting(), FixedClock(NOON)
    job.fails = True
    schedule = Schedule(database, clock, [Job("count", 60.0, job.run)])
    await schedule.run_due()
    async with database.transaction() as session:
        (row,) = await database.rows(session, "select last_error from faregate.scheduled_job")
    clock.advance(seconds=61)
    job.fails = False
    await schedule.run_due()

    assert row.last_error == "RuntimeError: broken"
    assert job.runs == 2


async def test_a_job_whose_worker_died_is_run_by_another_after_the_lease(database: Database) -> None:
    job, clock = Counting(), FixedClock(NOON)
    schedule = Schedule(database, clock, [Job("count", 60.0, job.run)])
    await schedule.run_due()
    clock.advance(minutes=2)
    async with database.transaction() as session:
        await database.rows(
            session, "update faregate.scheduled_job set leased_until = :until", until=clock.now() + (clock.now() - NOON)
        )

    assert await schedule.run_due() == 0
    clock.advance(minutes=3)
    assert await schedule.run_due() == 1


async def test_a_long_job_keeps_its_lease(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease is renewed while it runs, so that no other worker takes it."""
    monkeypatch.setattr(schedules, "_RENEW_SECONDS", 0.05)
    began, end, job, clock = asyncio.Event(), asyncio.Event(), Counting(), FixedClock(NOON)

    async def long() -> None:
        began.set()
        await end.wait()

    async def leased_until() -> datetime:
        async with database.transaction() as session:
            (row,) = await database.rows(session, "select leased_until from faregate.scheduled_job")
        return cast("datetime", row.leased_until)

    running = asyncio.create_task(Schedule(database, clock, [Job("long", 60.0, long)]).run_due())
    await began.wait()
    first = await leased_until()
    clock.advance(seconds=59)
    async with asyncio.timeout(30):
        while await leased_until() == first:
            await asyncio.sleep(0.02)
    clock.advance(seconds=2)
    taken = await Schedule(database, clock, [Job("long", 60.0, job.run)]).run_due()
    end.set()

    assert (taken, await running, job.runs) == (0, 1, 0)


async def test_a_worker_that_lost_its_lease_ends_the_run(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was cut off for longer than its lease, and another worker has begun: what it finishes later changes nothing."""
    monkeypatch.setattr(schedules, "_RENEW_SECONDS", 0.05)
    clock, began, job = FixedClock(NOON), asyncio.Event(), Counting()
    cancelled: list[str] = []

    async def endless() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("endless")
            raise

    running = asyncio.create_task(Schedule(database, clock, [Job("long", 60.0, endless)]).run_due())
    await began.wait()
    async with database.transaction() as session:
        await database.rows(session, "update faregate.scheduled_job set leased_until = :past", past=NOON)
    clock.advance(seconds=1)
    assert await Schedule(database, clock, [Job("long", 60.0, job.run)]).run_due() == 1
    await asyncio.wait_for(running, 5)
    async with database.transaction() as session:
        (row,) = await database.rows(session, "select next_at, leased_until from faregate.scheduled_job")

    assert (cancelled, job.runs) == (["endless"], 1)
    assert (row.next_at, row.leased_until) == (clock.now() + timedelta(seconds=60), None)


def test_a_cron_expression_is_in_utc() -> None:
    async def nothing() -> None: ...

    assert Job("daily", "30 3 * * *", nothing).next_after(NOON) == datetime(2026, 2, 1, 3, 30, tzinfo=UTC)


def test_two_jobs_of_one_name_are_refused(database: Database) -> None:
    async def nothing() -> None: ...

    with pytest.raises(ConfigurationError, match="share a name"):
        Schedule(database, FixedClock(NOON), [Job("a", 1.0, nothing), Job("a", 2.0, nothing)])


async def test_a_stop_cancels_a_long_job_and_another_worker_restarts_it(database: Database) -> None:
    """A stopping worker does not wait for the rollup of a million facts; uncommitted work of the job is rolled back."""
    began, job, clock, stop = asyncio.Event(), Counting(), FixedClock(NOON), asyncio.Event()

    async def endless() -> None:
        began.set()
        await asyncio.Event().wait()

    stopped = asyncio.create_task(
        Schedule(database, clock, [Job("long", 60.0, endless)]).run_until(stop, grace_seconds=0.05)
    )
    await began.wait()
    stop.set()
    await asyncio.wait_for(stopped, 5)

    assert await Schedule(database, clock, [Job("long", 60.0, job.run)]).run_due() == 1
    assert job.runs == 1


async def test_a_stop_waits_for_a_job_within_the_grace_period(database: Database) -> None:
    began, stop, done = asyncio.Event(), asyncio.Event(), False

    async def short() -> None:
        nonlocal done
        began.set()
        await stop.wait()
        await asyncio.sleep(0.05)
        done = True

    stopped = asyncio.create_task(Schedule(database, FixedClock(NOON), [Job("short", 60.0, short)]).run_until(stop))
    await began.wait()
    stop.set()
    await asyncio.wait_for(stopped, 5)

    assert done
