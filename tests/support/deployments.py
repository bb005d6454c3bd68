"""Everything that a deployment does, on the database of the settings."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from faregate.core.clock import FixedClock, SystemClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.core.settings import Settings
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE as QUEUE
from faregate.worker.container import WorkerContainer
from support.apps import Gateway, open_gateway, running_worker
from support.processes import run_command

__all__ = ["archiving", "run_jobs", "serve_calls", "settle_messages", "type_commands", "use_a_later_month"]

LINE = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
_LISTENING = "select count(*) as n from pg_stat_activity where datname = current_database() and query ilike 'listen %'"
_PARTITION = "select count(*) as n from pg_class where oid = to_regclass(cast(:name as text))"


def archiving(directory: Path) -> dict[str, Any]:
    return {"usage_archive_dir": directory / "events", "log_archive_dir": directory / "logs"}


async def serve_calls(gateway: Gateway) -> None:
    """Charge, record events by COPY, log, and answer analytics and an export."""
    await gateway.feature("chat", min_credits=1)
    await gateway.grant("ada", 1000)
    key = (await gateway.start("ada", "chat")).data["usage_key"]
    settled = await gateway.end("ada", "chat", usage_key=key, usages=[LINE])
    assert (settled.status, str(settled.data["charged"])) == (200, "0.42"), settled.body
    events = [{"user_id": "ada", "meter": "api", "quantity": n, "id": str(n)} for n in range(1, 61)]
    recorded = await gateway.post("/api/usage-events", events)
    assert recorded.status in {200, 201, 202}, recorded.body
    log = {"user_id": "ada", "feature_endpoint_value": "chat", "method": "POST", "code": 200, "status": "success"}
    logged = await gateway.post("/api/feature-usage-logs", [log])
    assert logged.status in {200, 201, 202}, logged.body
    models = await gateway.get("/api/analytics/models")
    assert models.status == 200, models.body
    export = await gateway.http.get("/api/analytics/export?format=csv", headers={"x-server-api-key": gateway.key})
    assert (export.status_code, export.text.count("\n") >= 62) == (200, True), export.text


async def settle_messages(gateway: Gateway, settings: Settings, *, count: int = 40) -> None:
    """Settle by queue, in batches large enough for COPY; a consumer listens meanwhile."""
    bodies = [
        {"user_id": "ada", "feature_endpoint_id": "chat", "usage_key": f"m{n}", "usages": [LINE]} for n in range(count)
    ]
    transport = gateway.container.transport()
    async with running_worker(settings):
        await transport.publish(QUEUE, [OutgoingMessage(exact_json.dumps(body)) for body in bodies])
        await _until(
            gateway.database,
            "select count(*) = :count as done from faregate.charge where status = 1 and usage_key like 'm%'",
            count=count,
        )
        await _until(gateway.database, f"select ({_LISTENING}) > 0 as done")
    assert [letter async for letter in transport.dead_letters()] == []


async def use_a_later_month(settings: Settings, *, months: int = 6) -> None:
    """Charge and record in a month that has no partition yet: it is created, and the event is in it."""
    clock = FixedClock(SystemClock().now() + timedelta(days=31 * months))
    async with open_gateway(settings, clock=clock) as gateway:
        database, month = gateway.database, Month.of(clock.now())
        name = f"{settings.db_schema}.usage_event_y{month.year:04d}m{month.number:02d}"
        async with database.transaction() as session:
            (before,) = await database.rows(session, _PARTITION, name=name)
        settled = await gateway.end("ada", "chat", usage_key="later", usages=[LINE])
        event = {"user_id": "ada", "meter": "api", "quantity": 1, "id": "later", "time": clock.now().isoformat()}
        recorded = await gateway.post("/api/usage-events", [event])
        assert (settled.status, recorded.status, recorded.data["accepted"]) == (200, 202, 1), (
            settled.body,
            recorded.body,
        )
        async with database.transaction() as session:
            (after,) = await database.rows(session, f"select count(*) as n from {name}")
    assert (before.n, after.n) == (0, 1), (before, after, name)


async def run_jobs(settings: Settings, *, ahead_days: int) -> None:
    """Run each job of the worker once, at a time when months are archived and dropped."""
    container = WorkerContainer(settings=settings, clock=FixedClock(SystemClock().now() + timedelta(days=ahead_days)))
    async with container.engines():
        for job in container.jobs():
            await job.run()


async def type_commands(settings: Settings, directory: Path) -> None:
    """Run commands that read, write, archive, restore and back up."""
    given: dict[str, str] = {
        f"FAREGATE_{name.upper()}": str(value)
        for name in ("database_url", "direct_database_url", "db_schema", "usage_archive_dir", "log_archive_dir")
        if (value := getattr(settings, name)) is not None
    }
    month = str(Month.of(SystemClock().now()))
    for arguments in (
        ("doctor",),
        ("migrate",),
        ("grants", "add", "bela", "5", "--source", "purchase"),
        ("usage", "restore", month),
        ("logs", "restore", month),
        ("usage", "rollup"),
        ("usage", "export", "csv", str(directory)),
        ("privacy", "export", "ada", "--file", str(directory / "ada.json")),
        ("verify",),
        ("backup", str(directory / "backup.dump")),
    ):
        done = await run_command(*arguments, **given)
        assert done.code == 0, (arguments, done.out, done.err)


async def _until(database: Database, sql: str, **parameters: Any) -> None:
    for _ in range(600):
        async with database.transaction() as session:
            (row,) = await database.rows(session, sql, **parameters)
        if row.done:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(sql)
