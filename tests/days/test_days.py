"""Parquet files by day: whole, of one snapshot, written again when facts arrive late, in a folder and in a store."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from faregate.analytics.days.manifest import ExportedDay, days_of, manifest_of, stale_days
from faregate.analytics.days.service import DayExport
from faregate.analytics.days.stores import FolderStore, IDayStore, store_of
from faregate.analytics.days.views import DAY_VIEWS
from faregate.client import ModelUsage
from faregate.core.clock import SystemClock
from faregate.core.errors import ConfigurationError, InvalidError
from faregate.core.settings import load_settings
from faregate.host import Faregate
from support.apps import running_worker, settings_for
from support.processes import run_command
from support.s3 import S3Server, s3_server
from support.servers import execute

TODAY = datetime.now(UTC).date()
YESTERDAY, BEFORE = TODAY - timedelta(days=1), TODAY - timedelta(days=2)
NOON = datetime.combine(YESTERDAY, datetime.min.time(), UTC) + timedelta(hours=12)


@pytest.fixture
async def fare(database_url: str) -> AsyncIterator[Faregate]:
    """Uses and events of yesterday and the day before."""
    features: dict[str, dict[str, Any]] = {"chat": {"strategy": "token_priced"}}
    async with Faregate(database_url, features=features, initial_credits=10) as fare:
        line = ModelUsage("gpt-4o", provider="openai", input_tokens=1001, output_tokens=7)
        await fare.charge("chat", "=ada", key="k1", usages=[line])
        await execute(database_url, f"update faregate.usage_line set settled_at = '{NOON.isoformat()}'")
        await execute(database_url, f"update faregate.charge set created_at = '{NOON.isoformat()}', settled_at = '{NOON.isoformat()}', closed_at = '{NOON.isoformat()}'")  # fmt: skip
        await record(fare, 1, NOON)
        await record(fare, 2, NOON - timedelta(days=1))
        yield fare


async def record(fare: Faregate, number: int, at: datetime) -> None:
    event = {"id": str(number), "source": "app", "user_id": "ada", "kind": "meter", "meter": "storage", "quantity": Decimal("0.1"), "time": at}  # fmt: skip
    assert (await fare.usage.record([event])).rejected == ()


def export_to(fare: Faregate, store: IDayStore) -> DayExport:
    return DayExport(fare.container.database(), SystemClock(), store, late_days=35)


def rows(folder: Path, view: str, day: date) -> list[dict[str, Any]]:
    pq: Any = import_module("pyarrow.parquet")
    found: list[dict[str, Any]] = pq.read_table(folder / view / f"day={day}" / f"{view}_{day}.parquet").to_pylist()
    return found


async def test_each_view_and_day_is_a_file_with_the_rows_of_the_view(
    fare: Faregate, database_url: str, tmp_path: Path
) -> None:
    made = await export_to(fare, FolderStore(tmp_path)).run()
    (use,), (line,) = rows(tmp_path, "uses", YESTERDAY), rows(tmp_path, "usage_lines", YESTERDAY)
    (event,) = rows(tmp_path, "usage_events", BEFORE)
    tokens = {row["token_type"]: row["tokens"] for row in rows(tmp_path, "usage_line_tokens", YESTERDAY)}

    assert {(each.view, each.day) for each in made} == {
        ("uses", YESTERDAY), ("usage_lines", YESTERDAY), ("usage_line_tokens", YESTERDAY), ("usage_events", YESTERDAY), ("usage_events", BEFORE),
    }  # fmt: skip
    assert (use["user_id"], use["is_unpriced"], use["started_at"]) == ("=ada", False, NOON)
    assert line["provider_cost_usd"] == 1001 * Decimal("0.0000025") + 7 * Decimal("0.00001")
    assert use["charged_credits"] == line["credits"]
    assert (event["quantity"], event["usage_key"], event["requests"]) == (Decimal("0.1"), None, 0)
    assert tokens == {"input_tokens": 1001, "output_tokens": 7}
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".parquet", ".json"}


async def test_a_day_is_written_again_when_facts_arrive_late_and_only_then(fare: Faregate, tmp_path: Path) -> None:
    export = export_to(fare, FolderStore(tmp_path))
    await export.run()
    unchanged = await export.run()
    await record(fare, 3, NOON - timedelta(days=1, hours=1))
    late = await export.run()

    assert unchanged == []
    assert [(each.view, each.day, each.rows) for each in late] == [("usage_events", BEFORE, 2)]
    assert [row["external_id"] for row in rows(tmp_path, "usage_events", BEFORE)] == ["3", "2"]


async def test_what_a_killed_run_left_is_written_by_the_next(fare: Faregate, tmp_path: Path) -> None:
    class Killed(FolderStore):
        puts = 0

        def put(self, name: str, file: Path) -> None:
            self.puts += 1
            if self.puts == 4:
                (tmp_path / "uses").mkdir(exist_ok=True)
                (tmp_path / "uses" / ".left.parquet.part").write_bytes(b"half")
                raise KeyboardInterrupt
            super().put(name, file)

    with pytest.raises(KeyboardInterrupt):
        await export_to(fare, Killed(tmp_path)).run()
    done = len(list(tmp_path.rglob("*.parquet")))
    rest = await export_to(fare, FolderStore(tmp_path)).run()

    assert 0 < done < 5
    assert len(list(tmp_path.rglob("[!.]*.parquet"))) == 5
    assert len(rest) >= 5 - done
    assert await export_to(fare, FolderStore(tmp_path)).run() == []


async def test_all_files_of_a_run_are_of_one_snapshot(fare: Faregate, tmp_path: Path) -> None:
    """What is committed while files are written is not in any of them, and in the next run's."""

    class Meanwhile(FolderStore):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            self.asked = 0

        def read(self, name: str) -> bytes | None:
            self.asked += 1
            if self.asked == 2:  # the first view was read: the snapshot is taken
                execute_now(fare, f"insert into faregate.usage_event (time, event_key, kind, subject_id, service, source) select '{NOON.isoformat()}', gen_random_uuid(), 0, subject_id, 'x', 'late' from faregate.subject limit 1")  # fmt: skip
            return super().read(name)

    first = await export_to(fare, Meanwhile(tmp_path)).run()
    second = await export_to(fare, FolderStore(tmp_path)).run()

    assert {each.rows for each in first if each.view == "usage_events" and each.day == YESTERDAY} == {1}
    assert [(each.view, each.day, each.rows) for each in second] == [("usage_events", YESTERDAY, 2)]


def execute_now(fare: Faregate, sql: str) -> None:
    """Run a statement on a connection of its own, from the thread that the store works in."""
    import asyncio

    asyncio.run(execute(fare.container.database().url, sql))


async def test_a_day_whose_facts_were_archived_keeps_its_file(
    fare: Faregate, database_url: str, tmp_path: Path
) -> None:
    export = export_to(fare, FolderStore(tmp_path))
    await export.run()
    await execute(database_url, "delete from faregate.usage_event")

    assert await export.run() == []
    assert len(rows(tmp_path, "usage_events", BEFORE)) == 1


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


async def test_a_store_that_speaks_s3_gets_the_same_files(
    fare: Faregate, database_url: str, s3: S3Server, tmp_path: Path
) -> None:
    client = s3.client
    client.create_bucket(Bucket="lake")
    given = {
        "FAREGATE_DATABASE_URL": database_url,
        "FAREGATE_EXPORT_TO": "s3://lake/faregate",
        **s3.environment,
    }
    await export_to(fare, FolderStore(tmp_path)).run()
    made = await run_command("export", "days", **given)
    again = await run_command("export", "days", "--output", "json", **given)
    refused = await run_command("export", "days", **{**given, "FAREGATE_EXPORT_TO": "s3://nowhere"})
    stored = {item["Key"]: item["ETag"].strip('"') for item in client.list_objects_v2(Bucket="lake")["Contents"]}
    local = {f"faregate/{path.relative_to(tmp_path)}": path.read_bytes() for path in tmp_path.rglob("*.parquet")}

    assert (made.code, again.code, again.out.strip()) == (0, 0, "[]")
    assert "5 files written" in made.out
    assert {name for name in stored if name.endswith(".parquet")} == set(local)
    body = client.get_object(Bucket="lake", Key=f"faregate/uses/day={YESTERDAY}/uses_{YESTERDAY}.parquet")[
        "Body"
    ].read()
    assert hashlib.sha256(body).digest() == hashlib.sha256(local[f"faregate/uses/day={YESTERDAY}/uses_{YESTERDAY}.parquet"]).digest()  # fmt: skip
    assert refused.code == 2
    assert "FAREGATE_EXPORT_TO: s3://nowhere cannot be used" in refused.err


async def test_the_worker_exports_every_night_where_a_place_is_named(database_url: str, tmp_path: Path) -> None:
    async with running_worker(settings_for(database_url, export_to=str(tmp_path))) as worker:
        await execute(database_url, "insert into faregate.subject (external_id) values ('ada')")
        await worker.recorder().record(
            [{"id": "1", "source": "app", "user_id": "ada", "meter": "storage", "time": NOON}]
        )
        (job,) = [job for job in worker.metering() if job.name == "export_days"]
        await job.run()

    assert len(rows(tmp_path, "usage_events", YESTERDAY)) == 1
    assert job.next_after(NOON).time() == time(1, 12)


async def test_a_wrong_range_and_a_missing_place_are_refused(fare: Faregate, tmp_path: Path) -> None:
    export = export_to(fare, FolderStore(tmp_path))
    for since, until in ((TODAY, TODAY + timedelta(days=1)), (TODAY, TODAY), (TODAY, YESTERDAY)):
        with pytest.raises(InvalidError, match="which is not over"):
            await export.run(since=since, until=until)
    unset = fare.container.day_export()
    assert not unset.configured
    with pytest.raises(ConfigurationError, match="FAREGATE_EXPORT_TO is not set"):
        await unset.run()


def test_the_setting_names_a_folder_or_a_bucket(tmp_path: Path) -> None:
    assert store_of(load_settings()) is None
    assert isinstance(store_of(load_settings(export_to=str(tmp_path))), FolderStore)


def test_a_manifest_that_cannot_be_read_means_that_all_days_are_written() -> None:
    days = {date(2026, 11, 1): ExportedDay(1, "5"), date(2026, 11, 2): ExportedDay(2, "6")}

    assert days_of(manifest_of("uses", days)) == days
    assert [days_of(content) for content in (None, b"", b"[", b'{"days":[]}', b'{"days":{"x":{}}}')] == [{}] * 5
    assert stale_days(days, {}) == sorted(days)
    assert stale_days(days, {**days, date(2026, 11, 2): ExportedDay(2, "7")}) == [date(2026, 11, 2)]
    assert stale_days({}, days) == []


def test_every_view_of_facts_has_a_day() -> None:
    assert {view.name for view in DAY_VIEWS} == {"uses", "usage_lines", "usage_line_tokens", "transfers", "transfer_grants", "usage_events"}  # fmt: skip
