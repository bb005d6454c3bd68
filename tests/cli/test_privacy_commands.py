"""Commands for feature logs and privacy."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.settings import load_settings
from faregate.feature_log.container import FeatureLogContainer
from faregate.feature_log.values import FeatureNames, LogEntry, Recorded
from faregate.wire import exact_json
from support.processes import Finished, run_command


async def recorded(database: Database, **more: Any) -> str:
    """Record one log of ada's and return its id."""
    container = FeatureLogContainer(
        settings=load_settings(database_url=database.url),
        database=database,
        subjects=Subjects(database),
        clock=SystemClock(),
    )
    entry = LogEntry("ada", FeatureNames(None, "chat"), "POST", 200, "success", user_email="ada@example.com", **more)
    (outcome,) = await container.service().record([entry])
    assert isinstance(outcome, Recorded)
    return str(outcome.id)


async def typed(database: Database, *arguments: str) -> Finished:
    return await run_command(*arguments, FAREGATE_DATABASE_URL=database.url)


async def test_logs_are_found_shown_and_deleted(database: Database) -> None:
    first = await recorded(database, payload={"password": "x", "prompt": "hi"}, time=datetime.now(UTC))
    second = await recorded(database, payload={"prompt": "ho"})
    found = exact_json.loads((await typed(database, "logs", "search", "--user", "ada", "-o", "json")).out)
    shown = exact_json.loads((await typed(database, "logs", "show", first)).out)
    hidden = await typed(database, "logs", "delete", first, "--by", "=carla")
    removed = await typed(database, "logs", "delete", second, "--permanent", "--by", "carla")
    again = await typed(database, "logs", "delete", second, "--permanent", "--by", "carla")

    assert {log["id"] for log in found} == {first, second}
    assert shown["payload"] == {"password": "[redacted]", "prompt": "hi"}
    assert (hidden.code, removed.code, again.code) == (0, 0, 1)
    assert "1 of 1 logs removed" in removed.out
    async with database.transaction() as session:
        deeds = await database.rows(
            session,
            "select target->>'on_word_of', target->>'permanent', target->'log_ids'->>0 from faregate.audit_entry "
            "where action = 'feature-usage-logs.delete_many' order by entry_id",
        )
    assert [tuple(deed) for deed in deeds] == [
        ("=carla", "False", first),
        ("carla", "True", second),
        ("carla", "True", None),
    ]


async def test_an_operator_who_is_a_user_is_recorded_as_one_and_can_be_erased(database: Database) -> None:
    await recorded(database)
    second = await recorded(database, payload={"prompt": "ho"})
    hidden = await typed(database, "logs", "delete", second, "--by", "ada")
    erased = await typed(database, "privacy", "erase", "ada", "--yes", "--by", "carla")

    assert (hidden.code, erased.code) == (0, 0)
    async with database.transaction() as session:
        deeds = await database.rows(
            session,
            "select target->>'on_word_of' as named, actor_subject_id from faregate.audit_entry order by entry_id",
        )
        logs = await database.rows(session, "select deleted_by from faregate.feature_log where deleted_at is not null")
    number = deeds[0].actor_subject_id
    assert number is not None
    assert [tuple(deed) for deed in deeds] == [(None, number), ("carla", None)]
    assert [log.deleted_by for log in logs] == [f"subject:{number}"]


async def test_a_user_is_exported_and_erased_only_after_confirmation(database: Database, tmp_path: Path) -> None:
    await recorded(database, payload={"prompt": "of ada"})
    file = tmp_path / "ada.ndjson"
    exported = await typed(database, "privacy", "export", "ada", str(file))
    careless = await typed(database, "privacy", "erase", "ada")
    erased = await typed(database, "privacy", "erase", "ada", "--yes", "--by", "carla")
    records = [exact_json.loads(line) for line in file.read_bytes().splitlines()]

    assert (exported.code, {record["kind"] for record in records}) == (0, {"subject", "feature_log"})
    assert [record["payload"] for record in records if record["kind"] == "feature_log"] == [{"prompt": "of ada"}]
    assert (careless.code != 0, "--yes" in careless.err + careless.out) == (True, True)
    assert (erased.code, "feature_log" in erased.out) == (0, True)
    async with database.transaction() as session:
        left = await database.rows(session, "select 1 from faregate.subject where external_id = 'ada'")
        deeds = await database.rows(session, "select action from faregate.audit_entry")
    assert (len(left), [deed.action for deed in deeds]) == (0, ["privacy.export", "privacy.erase"])
