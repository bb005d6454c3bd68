"""Retention: months are created ahead, archived before they are dropped, and restored; per feature, too."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from faregate.core.clock import FixedClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month
from faregate.core.db.subjects import Subjects
from faregate.core.errors import ConfigurationError, FaregateError
from faregate.core.settings import load_settings
from faregate.feature_log.container import FeatureLogContainer
from faregate.feature_log.values import FeatureNames, LogEntry, LogFilter


@pytest.fixture
def container(database: Database, subjects: Subjects, clock: FixedClock, tmp_path: Path) -> FeatureLogContainer:
    settings = load_settings(database_url=database.url, log_retention_days=60, log_archive_dir=tmp_path)
    return FeatureLogContainer(settings=settings, database=database, subjects=subjects, clock=clock)


async def record(container: FeatureLogContainer, feature: str, *times: datetime) -> None:
    entries = [LogEntry("ada", FeatureNames(None, feature), "GET", 200, "success", time=time) for time in times]
    assert not [o for o in await container.service().record(entries) if isinstance(o, FaregateError)]


async def count(container: FeatureLogContainer, feature: str | None = None) -> int:
    return len((await container.service().find(LogFilter(feature=feature), limit=1000)).logs)


async def test_months_exist_before_they_begin(container: FeatureLogContainer, database: Database) -> None:
    await container.retention().sweep()
    async with database.transaction() as session:
        months = await container.partitions().attached(session)

    assert list(map(str, months)) == ["2026-11", "2026-12", "2027-01"]


async def test_a_month_is_archived_dropped_and_restored_for_a_while(
    container: FeatureLogContainer, clock: FixedClock
) -> None:
    days = [datetime(2026, month, day, 8, tzinfo=UTC) for month in (10, 11) for day in range(1, 21)]
    await record(container, "chat", *days)
    await container.retention().sweep()
    kept = await count(container)
    clock.advance(days=45)
    await container.retention().sweep()
    await container.retention().sweep()
    dropped = await count(container)
    (manifest,) = await container.retention().restore(Month(2026, 10))
    await container.retention().sweep()
    restored = await count(container)
    clock.advance(days=31)
    await container.retention().sweep()

    assert (kept, dropped, restored, manifest.rows) == (40, 20, 40, 20)
    assert await count(container) == 0


async def test_a_feature_may_have_a_shorter_or_longer_retention(
    container: FeatureLogContainer, clock: FixedClock
) -> None:
    now = clock.now()
    await record(container, "short", *(now - timedelta(days=n) for n in range(20)))
    await record(container, "other", *(now - timedelta(days=n) for n in range(20)))
    await container.retention().set_days("short", 7)
    await container.retention().sweep()
    short = (await count(container, "short"), await count(container, "other"))
    await container.retention().set_days("long", 1000)
    await record(container, "long", *(now - timedelta(days=n) for n in range(20)))
    clock.advance(days=200)
    await container.retention().sweep()

    assert short == (8, 20)
    assert (await count(container, "other"), await count(container, "long")) == (0, 20)
    await container.retention().set_days("long", None)
    assert await container.retention().days() == {"short": 7}


async def test_days_removed_before_their_month_are_archived_and_restored_for_a_while(
    container: FeatureLogContainer, clock: FixedClock
) -> None:
    now = clock.now()
    times = [now - timedelta(days=n) for n in range(15)]
    await record(container, "short", *times)
    await record(container, "other", *times)
    await container.retention().set_days("short", 7)
    retention, archives = container.retention(), container.archives()
    await retention.sweep()
    await retention.sweep()
    archived = archives.manifests() if archives else []
    restored = await retention.restore(Month(2026, 11))
    back = await count(container, "short")
    await retention.sweep()
    kept = await count(container, "short")
    clock.advance(days=31)
    await retention.sweep()
    again = archives.manifests() if archives else []

    assert [manifest.part for manifest in archived] == [f"d{day:02d}" for day in range(7, 14)]
    assert sum(manifest.rows for manifest in archived) == sum(manifest.rows for manifest in restored) == 7
    assert (back, kept) == (15, 15)
    assert (await count(container, "short"), await count(container, "other")) == (0, 15)
    assert sum(manifest.rows for manifest in again) == 15
    assert {manifest.restored_until for manifest in again} == {None}


async def test_logs_of_an_archived_month_are_not_lost(container: FeatureLogContainer, clock: FixedClock) -> None:
    now = clock.now()
    await record(container, "chat", now, now - timedelta(days=1))
    await container.retention().archive(Month(2026, 11))
    await record(container, "chat", now - timedelta(days=2))
    clock.advance(days=100)
    await container.retention().sweep()
    gone = await count(container)
    restored = await container.retention().restore(Month(2026, 11))

    assert (gone, [(manifest.part, manifest.rows) for manifest in restored]) == (0, [("", 2), ("late", 1)])
    assert await count(container) == 3


async def test_without_an_archive_nothing_is_dropped(database: Database, subjects: Subjects, clock: FixedClock) -> None:
    settings = load_settings(database_url=database.url, log_retention_days=60)
    container = FeatureLogContainer(settings=settings, database=database, subjects=subjects, clock=clock)
    await record(container, "chat", clock.now())
    clock.advance(days=500)
    await container.retention().sweep()

    assert await count(container) == 1
    with pytest.raises(ConfigurationError, match="FAREGATE_LOG_ARCHIVE_DIR"):
        await container.retention().archive(Month(2026, 11))


async def test_expired_digests_are_deleted(
    container: FeatureLogContainer, clock: FixedClock, database: Database
) -> None:
    await record(container, "chat", clock.now())
    clock.advance(hours=25)
    await container.retention().sweep()
    async with database.transaction() as session:
        assert list(await database.rows(session, "select 1 from faregate.feature_log_key")) == []
