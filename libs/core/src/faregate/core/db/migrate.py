"""Database migrations: by command, at start-up, or within a host's own."""

import asyncio
import random
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from faregate.core.db.database import Database
from faregate.core.db.error_states import is_retried, sqlstate
from faregate.core.db.revisions import MIGRATIONS, head_revision, known_revisions
from faregate.core.db.sql import VERSION_READ
from faregate.core.db.tables import load_models
from faregate.core.errors import ConfigurationError, DatabaseBusyError
from faregate.core.logging import get_logger

log = get_logger(__name__)

__all__ = [
    "SchemaProblem",
    "current_revision",
    "database_problem",
    "problem_at",
    "run_alembic",
    "run_on",
    "schema_problem",
    "upgrade",
]

_LOCK = 7_305_201_923_140_001
"""Advisory lock: of two processes that start at the same time only one may migrate."""

_ATTEMPTS = 30
_NOT_ALLOWED = "42501"

_OLDEST_CODE = 21
"""Code of this revision and later runs on the newest schema: since then no migration took away what an older process needs
(`tests/core/test_upgrades.py`). A migration that does raises this number."""

_COMPARING = {"check", "revision"}
"""Commands of Alembic that compare the database with the models; the others need none."""

_SERVES = "schema: oldest code"
"""The row of the table `version` by which a schema tells older processes whether they may go on."""

_MIGRATE = "run `faregate migrate`"
_UPGRADE = "upgrade the package: `pip install --upgrade faregate`"


async def upgrade(database: Database) -> tuple[str | None, str]:
    """Migrate the schema to the newest revision; return the revisions before and after. Safe to repeat, also concurrently."""
    before = await current_revision(database)
    problem = schema_problem(before)
    if problem is not None and problem.newer:
        raise ConfigurationError(f"{problem.detail}; {problem.fix}")
    if problem is not None:
        await _upgrade_as_owner(database)
    return before, head_revision()


async def _upgrade_as_owner(database: Database) -> None:
    try:
        await _upgrade_under_traffic(database)
    except DBAPIError as error:
        if sqlstate(error) != _NOT_ALLOWED:
            raise
        raise ConfigurationError(
            f"the database role may not migrate: {error.orig}; run `faregate migrate` as the role that owns the schema "
            f"{database.sql.schema!r}, or let an administrator create the schema for that role: "
            f"create schema {database.sql.schema} authorization …"
        ) from error


async def _upgrade_under_traffic(database: Database) -> None:
    """Migrate in one transaction; again if it lost a deadlock against calls, or waited too long for a lock that they hold."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            await run_alembic(database, "upgrade", "head")
        except DatabaseBusyError as error:
            if not is_retried(error) or attempt == _ATTEMPTS:
                raise
            log.info("migration_retried", sqlstate=error.sqlstate, attempt=attempt)
            await asyncio.sleep(random.uniform(0.1, 0.5))  # noqa: S311
        else:
            return


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """Why this code cannot use a database, and what to do; `newer`: the database is newer than the code."""

    detail: str
    fix: str
    newer: bool = False


def schema_problem(revision: str | None) -> SchemaProblem | None:
    """Return what is wrong with a database at `revision` (None: never migrated), or None if nothing is."""
    if revision == head_revision():
        return None
    if revision is None:
        return SchemaProblem(f"the database is not migrated yet; this code needs {head_revision()}", _MIGRATE)
    if revision in known_revisions():
        return SchemaProblem(
            f"the database is at {revision}, older than this code, which needs {head_revision()}", _MIGRATE
        )
    detail = f"the database is at {revision}, newer than this code, which knows {head_revision()} at most"
    return SchemaProblem(detail, _UPGRADE, newer=True)


async def database_problem(database: Database) -> SchemaProblem | None:
    """Return why this code cannot use the database, or None. A newer schema is no problem if it says that this code may go on."""
    return await problem_at(database, await current_revision(database))


async def problem_at(database: Database, revision: str | None) -> SchemaProblem | None:
    """Return what `database_problem` returns for a database whose revision is known."""
    problem = schema_problem(revision)
    if problem is None or not problem.newer:
        return problem
    async with database.transaction(read_only=True) as session:
        rows = await database.rows(session, VERSION_READ, name=_SERVES)
    return None if rows and rows[0].version <= _number(head_revision()) else problem


async def current_revision(database: Database) -> str | None:
    """Return the revision of the database, or None before the first migration."""
    await database.open()
    async with database.connection() as connection:
        table = f"{database.sql.schema}.alembic_version"
        if await connection.fetchval("select to_regclass($1)", table) is None:
            return None
        return cast("str", await connection.fetchval(f"select version_num from {table}"))  # noqa: S608


def _number(revision: str) -> int:
    return int(revision.partition("_")[0])


async def run_alembic(database: Database, command: str, *arguments: Any, **options: Any) -> None:
    """Run an Alembic command (`upgrade`, `downgrade`, `check`, …) on Faregate's migrations."""
    await database.open()
    engine = create_async_engine("postgresql+asyncpg://", async_creator=database.connect)
    try:
        with database.losses_reported():
            await _run_alone(engine, database.sql.schema, command, *arguments, **options)
    finally:
        await engine.dispose()


async def _run_alone(engine: AsyncEngine, schema: str, command: str, *arguments: Any, **options: Any) -> None:
    """Run an Alembic command while no other process migrates."""
    async with engine.connect() as connection:
        await connection.execute(text("set statement_timeout = 0"))
        await connection.execute(text("set lock_timeout = 0"))  # another process may be migrating: wait for it
        await connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": _LOCK})
        await connection.execute(text("reset lock_timeout"))
        await connection.commit()
        await connection.run_sync(_run, schema, command, *arguments, **options)
        await connection.commit()


def run_on(connection: Connection, schema: str, command: str, *arguments: Any, **options: Any) -> None:
    """Run an Alembic command on a (synchronous) connection that is in a transaction; other migrations wait until its end."""
    connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    _run(connection, schema, command, *arguments, **options)


def _run(connection: Connection, schema: str, command: str, *arguments: Any, **options: Any) -> None:
    from alembic import command as commands
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes |= {"connection": connection, "schema": schema}
    if command in _COMPARING:
        load_models()
    getattr(commands, command)(config, *arguments, **options)
    if command == "upgrade":
        _tell_older_processes(connection, schema)


def _tell_older_processes(connection: Connection, schema: str) -> None:
    """Store which code runs on the newest schema, if the schema is that."""
    sql = f"""
    insert into {schema}.version (name, version)
    select :name, :oldest where exists (select from {schema}.alembic_version where version_num = :head)
    on conflict (name) do update set version = excluded.version
    """  # noqa: S608
    if connection.execute(text("select to_regclass(:table)"), {"table": f"{schema}.version"}).scalar() is not None:
        connection.execute(text(sql), {"name": _SERVES, "oldest": _OLDEST_CODE, "head": head_revision()})
