"""Commands for feature logs, and short runs of their benchmarks."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.settings import load_settings
from faregate.feature_log.container import FeatureLogContainer
from faregate.feature_log.values import FeatureNames, LogEntry, Recorded
from faregate.wire import exact_json
from support.processes import Finished, run_command


class Desk:
    """Runs commands on one database, with a directory for archives."""

    def __init__(self, database: Database, archives: Path) -> None:
        self.database = database
        self.archives = archives

    async def type(self, *arguments: str, **environment: str) -> Finished:
        places = {"FAREGATE_DATABASE_URL": self.database.url, "FAREGATE_LOG_ARCHIVE_DIR": str(self.archives)}
        return await run_command(*arguments, **places, **environment)

    async def methods(self, *arguments: str) -> list[str]:
        """Return the methods of the logs that a search finds."""
        found = await self.type("logs", "search", *arguments, "-o", "json")
        return sorted(log["method"] for log in exact_json.loads(found.out))


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> Desk:
    """A desk with three logs of this month."""
    container = FeatureLogContainer(
        settings=load_settings(database_url=database.url),
        database=database,
        subjects=Subjects(database),
        clock=SystemClock(),
    )
    entries = [
        LogEntry("ada", FeatureNames(None, "chat"), method, 200, "success", payload={"prompt": "hi"})
        for method in ("DELETE", "GET", "POST")
    ]
    assert all(isinstance(outcome, Recorded) for outcome in await container.service().record(entries))
    return Desk(database, tmp_path)


async def test_logs_are_found_by_method(desk: Desk) -> None:
    wrong = await desk.type("logs", "search", "--method", "BREW")

    assert await desk.methods("--method", "POST") == ["POST"]
    assert await desk.methods() == ["DELETE", "GET", "POST"]
    assert wrong.code != 0


async def test_a_month_is_archived_and_restored(desk: Desk) -> None:
    month = f"{datetime.now(UTC):%Y-%m}"
    archived = await desk.type("logs", "archive", month)
    gone = await desk.methods()
    restored = await desk.type("logs", "restore", month)
    again = await desk.type("logs", "restore", month)
    unknown = await desk.type("logs", "restore", "2020-01")

    assert (archived.code, f"{month} archived: 3 logs" in archived.out, gone) == (0, True, [])
    assert len(list(desk.archives.glob("feature_log_y*.csv.gz"))) == 1
    assert (restored.code, f"{month} restored: 3 logs" in restored.out) == (0, True)
    assert await desk.methods() == ["DELETE", "GET", "POST"]
    assert (again.code, f"{month} cannot be restored" in again.err, "first archive the month" in again.err) == (
        1,
        True,
        True,
    )
    assert (unknown.code, "not archived" in unknown.err) == (1, True)


async def test_a_feature_keeps_its_logs_for_a_time_of_its_own_until_that_is_reset(desk: Desk) -> None:
    kept = await desk.type("logs", "retention", "set", "chat", "30")
    shown = exact_json.loads((await desk.type("logs", "retention", "show", "-o", "json")).out)
    table = await desk.type("logs", "retention", "show")
    back = await desk.type("logs", "retention", "set", "chat", "0")
    nothing = exact_json.loads((await desk.type("logs", "retention", "show", "-o", "json")).out)
    wrong = await desk.type("logs", "retention", "set", "chat", "999999")

    assert (kept.out.strip(), back.out.strip()) == ("chat: 30 days", "chat: as the setting says")
    assert (shown, "chat" in table.out, nothing) == ({"chat": 30}, True, {})
    assert wrong.code == 1


async def test_logs_are_sealed_again_under_a_new_key(desk: Desk) -> None:
    made = [(await desk.type("logs", "new-key", name)).out.strip() for name in ("first", "second")]
    sealed = await desk.type("logs", "rotate-keys", FAREGATE_LOG_KEYS=made[0])
    rotated = await desk.type("logs", "rotate-keys", FAREGATE_LOG_KEYS=f"{made[1]},{made[0]}")
    again = await desk.type("logs", "rotate-keys", FAREGATE_LOG_KEYS=made[1])
    async with desk.database.transaction() as session:
        rows = await desk.database.rows(session, "select key_id, payload from faregate.feature_log")
        log_id = (await desk.database.rows(session, "select log_id from faregate.feature_log limit 1"))[0].log_id
    shown = await desk.type("logs", "show", str(log_id), FAREGATE_LOG_KEYS=made[1])

    assert [len(base64.b64decode(key.partition(":")[2])) for key in made] == [32, 32]
    assert [done.out.split()[0] for done in (sealed, rotated, again)] == ["3", "3", "0"]
    assert {row.key_id for row in rows} == {"second"}
    assert not [row for row in rows if b"prompt" in bytes(row.payload)]
    assert exact_json.loads(shown.out)["payload"] == {"prompt": "hi"}


async def test_a_short_run_times_and_fuzzes_redaction() -> None:
    done = await run_command("bench", "redaction", "--documents", "20", "--payloads", "50")

    assert "50 random payloads with secrets: 0 still contain one, none failed" in done.out
    assert "p50" in done.out


async def test_a_short_run_measures_ingest_and_search_of_logs() -> None:
    sizes = ("--ingest", "200", "--batch", "50", "--stored", "300", "--queries", "2")
    done = await run_command("bench", "logs", *sizes)

    assert "ratio" in done.out, done.err
    assert "Search over 300 logs" in done.out
    assert done.code in {0, 1}, done.err
