"""`faregate doctor`: checks of a deployment, each with its fix."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.markup import escape

from faregate.cli.commands.operations.findings import (
    Finding,
    look_at_clickhouse,
    look_at_key_set,
    look_at_names,
    look_at_redis,
    look_at_reports,
    look_at_security,
)
from faregate.cli.shared.deployment import database_name, of_tenant, require_database
from faregate.cli.shared.output import Format, console, print_json
from faregate.core.clock import SystemClock
from faregate.core.errors import ConfigurationError, FaregateError
from faregate.core.runtime import event_loop
from faregate.usage.values import ModelUsage
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE

if TYPE_CHECKING:
    from faregate.core.db.database import Database
    from faregate.core.settings import Settings

__all__ = ["doctor", "look"]

_DISK_NEEDED_BYTES = 1024**3
_SKEW_SECONDS_MAX = 2


def doctor(*, output: Annotated[Format, Parameter(name=["--output", "-o"], help="table or json")] = "table") -> int:
    """Check everything that a deployment needs; exit 1 if something is broken, and print the fix."""
    from faregate.core.settings import load_settings

    findings = event_loop.run(look(of_tenant(load_settings())))
    if output == "json":
        print_json([{"name": f.name, "ok": f.ok, "detail": f.detail, "fix": f.fix} for f in findings])
    else:
        for finding in findings:
            mark = "[green]ok[/]  " if finding.ok else "[red]bad[/] "
            console.print(f"{mark}{finding.name:<12}{escape(finding.detail)}", highlight=False, soft_wrap=True)
            if finding.fix and not finding.ok:
                console.print(f"    fix: {escape(finding.fix)}", style="yellow", highlight=False, soft_wrap=True)
    return 0 if all(finding.ok for finding in findings) else 1


async def look(settings: Settings) -> list[Finding]:
    """Run all checks; a check that depends on something broken is left out."""
    from faregate.core.container import make_database

    database = make_database(settings)
    try:
        engines = await _look_at_database(settings, database)
        if settings.broker_url is not None or all(finding.ok for finding in engines):
            engines.append(await _try("queue", lambda: _queue(settings, database), "check FAREGATE_BROKER_URL"))
    finally:
        await database.close()
    beside = [_prices(settings), *look_at_security(settings), *await look_at_key_set(settings)]
    beside += [*await look_at_redis(settings), *await look_at_clickhouse(settings)]
    return [look_at_names(), _key(settings), _disk(settings), *engines, *beside]


async def _look_at_database(settings: Settings, database: Database) -> list[Finding]:
    try:
        require_database(settings)
    except ConfigurationError as error:
        return [_with_its_fix("database", error)]
    found = [await _try("database", lambda: _database(settings, database))]
    if not found[0].ok:
        return found
    clock = await _try("clock", lambda: _clock(database), "set up NTP on this machine and the database's")
    migrations = await _migrations(database)
    reports = await look_at_reports(settings, database) if migrations.ok else []
    return [*found, clock, migrations, *reports]


async def _try(name: str, check: Callable[[], Awaitable[str]], fix: str | None = None) -> Finding:
    """Run one check; without a `fix`, the errors that it raises end with theirs."""
    from asyncpg import PostgresError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return Finding(name, ok=True, detail=await check())
    except (FaregateError, SQLAlchemyError, PostgresError, OSError) as error:
        if fix is None and isinstance(error, FaregateError):
            return _with_its_fix(name, error)
        detail = error.detail if isinstance(error, FaregateError) else _first_line(error)
        cause = f" ({_first_line(error.__cause__)})" if error.__cause__ is not None else ""
        return Finding(name, ok=False, detail=detail + cause, fix=fix or "")


def _with_its_fix(name: str, error: FaregateError) -> Finding:
    """Return the finding for an error whose text is `problem; fix`."""
    problem, _, fix = error.detail.rpartition("; ")
    return Finding(name, ok=False, detail=problem, fix=fix)


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "orig", error)).partition("\n")[0] or type(error).__name__


def _key(settings: Settings) -> Finding:
    if settings.server_api_key is not None:
        return Finding("key", ok=True, detail="FAREGATE_SERVER_API_KEY is set")
    detail = "no FAREGATE_SERVER_API_KEY; `faregate up` makes one and keeps it in a file, `faregate gateway` needs it"
    return Finding("key", ok=True, detail=detail)


def _disk(settings: Settings) -> Finding:
    from faregate.core.db.embedded import default_data_dir

    directory = settings.data_dir or default_data_dir()
    try:
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        free = shutil.disk_usage(existing).free
    except PermissionError as error:  # the check of the database says what to do
        return Finding("disk", ok=True, detail=f"not measured: {error.filename} ({error.strerror})")
    detail = f"{free / 1024**3:.1f} GiB free at {existing}"
    return Finding("disk", free >= _DISK_NEEDED_BYTES, detail, "make room, or set FAREGATE_DATA_DIR to a larger disk")


async def _database(settings: Settings, database: Database) -> str:
    await database.open()
    async with database.transaction(read_only=True) as session:
        ((number,),) = await database.rows(session, "show server_version_num")
    return f"{_version(int(number))}: {database_name(settings)}"


def _version(number: int) -> str:
    """Return `server_version_num` as people write it."""
    return f"PostgreSQL {number // 10_000}.{number % 10_000}"


async def _migrations(database: Database) -> Finding:
    from faregate.core.db.migrate import current_revision, problem_at

    revision = await current_revision(database)
    problem = await problem_at(database, revision)
    if problem is not None:
        return Finding("migrations", ok=False, detail=problem.detail, fix=problem.fix)
    return Finding("migrations", ok=True, detail=f"at {revision}")


async def _clock(database: Database) -> str:
    async with database.transaction(read_only=True) as session:
        ((moment,),) = await database.rows(session, "select clock_timestamp()")
    skew = abs((SystemClock().now() - moment).total_seconds())
    if skew > _SKEW_SECONDS_MAX:
        raise FaregateError(f"the clocks of this machine and the database differ by {skew:.1f} s")
    return f"within {max(skew, 0.01):.2f} s of the database"


async def _queue(settings: Settings, database: Database) -> str:
    from faregate.core.container import make_transport

    transport = make_transport(settings, database)
    try:
        await transport.open()
        backlog = await transport.backlog(SETTLE_MULTIMODEL_QUEUE)
    finally:
        await transport.close()
    return f"{backlog.depth} settlements waiting"


def _prices(settings: Settings) -> Finding:
    from faregate.usage.container import pricing_policy
    from faregate.usage.pricing.line import PriceBook

    line = PriceBook(pricing_policy(settings)).line(
        ModelUsage("gpt-4o", tokens={"input_tokens": 1000}), at=SystemClock().now()
    )
    detail = f"{line.price_version}; 1,000 tokens into gpt-4o are {line.credits.normalize():f} credits"
    return Finding("prices", not line.unpriced, detail, "reinstall genai-prices")
