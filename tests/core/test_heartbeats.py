"""Heartbeats: holds wait for late settlement, but not for dead workers."""

from datetime import UTC, datetime, timedelta

import pytest

from faregate.core.db.database import Database
from faregate.core.monitoring.heartbeats import Heartbeats

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def heartbeats(database: Database) -> Heartbeats:
    return Heartbeats(database)


async def _report(database: Database, instance: str, settled_until: datetime, *, silent_seconds: float = 0) -> None:
    await Heartbeats(database).report(instance, "worker", settled_until=settled_until)
    sql = (
        "update faregate.heartbeat set reported_at = reported_at - cast(:silent as interval) where instance = :instance"
    )
    async with database.transaction() as session:
        await database.rows(session, sql, silent=timedelta(seconds=silent_seconds), instance=instance)


async def _settled_until(database: Database) -> datetime | None:
    async with database.transaction() as session:
        return await Heartbeats(database).settled_until(session)


async def test_the_slowest_live_worker_counts(database: Database) -> None:
    await _report(database, "quick", NOW)
    await _report(database, "slow", NOW - timedelta(minutes=5), silent_seconds=30)

    assert await _settled_until(database) == NOW - timedelta(minutes=5)


async def test_a_worker_silent_a_minute_longer_than_another_delays_nothing(database: Database) -> None:
    await _report(database, "killed", NOW - timedelta(hours=1), silent_seconds=70)
    await _report(database, "alive", NOW)

    assert await _settled_until(database) == NOW


async def test_when_all_are_silent_the_last_to_report_counts_for_a_day(database: Database) -> None:
    await _report(database, "killed", NOW, silent_seconds=3600)
    assert await _settled_until(database) == NOW

    await _report(database, "killed", NOW, silent_seconds=90_000)
    assert await _settled_until(database) is None
