"""Roles: an owner without rights on the database, and processes that may only read and write rows."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from faregate.core.db.database import Database
from faregate.core.db.migrate import current_revision, upgrade
from faregate.core.db.revisions import head_revision
from faregate.core.errors import ConfigurationError
from support.apps import open_gateway, settings_for
from support.deployments import archiving, run_jobs, serve_calls, settle_messages, type_commands, use_a_later_month
from support.docs import Page
from support.processes import run_command
from support.servers import address, execute

PAGE = Page.of("docs/howto/roles.md")
SCHEMA = "billing_eu"
_numbers = count(1)


@dataclass(frozen=True)
class Roles:
    """The addresses of one database for three roles, whose rights are those of the page, for another schema."""

    administrator: str
    owner: str
    app: str
    names: tuple[str, str]

    def sql(self, title: str) -> str:
        text = PAGE.block(title=title).text.replace("schema faregate", f"schema {SCHEMA}")
        for role, name in zip(("faregate_owner", "faregate_app"), self.names, strict=True):
            text = text.replace(role, name)
        return text


@pytest.fixture
async def roles(server_url: str) -> AsyncIterator[Roles]:
    """A database whose schema an administrator has created; nothing is migrated yet."""
    number = f"{os.getpid()}_{next(_numbers)}"
    name, names = f"roles_{number}", (f"owner_{number}", f"app_{number}")
    await execute(server_url, f"create database {name}")
    url = address(server_url, name)
    made = Roles(url, _as(url, names[0]), _as(url, names[1]), names)
    await execute(url, made.sql("administrator"))
    yield made
    await execute(server_url, f"drop database {name} with (force)")
    await execute(server_url, f"drop role {', '.join(names)}")


def _as(url: str, role: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:x@{parts.netloc.rpartition('@')[2]}"))


async def _migrate(url: str) -> None:
    database = Database(url, schema=SCHEMA)
    try:
        await upgrade(database)
        assert await current_revision(database) == head_revision()
    finally:
        await database.close()


async def test_a_deployment_runs_as_a_role_that_only_reads_and_writes_rows(roles: Roles, tmp_path: Path) -> None:
    """Calls, settlement, partitions of later months, every job, archives, exports, `verify`; in a schema of another name."""
    await _migrate(roles.owner)
    await execute(roles.owner, roles.sql("owner"))
    settings = settings_for(roles.app, db_schema=SCHEMA, **archiving(tmp_path))
    async with open_gateway(settings) as gateway:
        await serve_calls(gateway)
        await settle_messages(gateway, settings)
    await use_a_later_month(settings)
    await run_jobs(settings, ahead_days=600)
    await type_commands(settings, tmp_path)

    connection = await asyncpg.connect(roles.administrator)
    owners = await connection.fetch("select distinct tableowner from pg_tables where schemaname = $1", SCHEMA)
    elsewhere = await connection.fetchval("select to_regnamespace('faregate')")
    await connection.close()
    assert [row["tableowner"] for row in owners] == [roles.names[0]]
    assert elsewhere is None


async def test_grants_before_the_first_migration_cover_what_it_creates(roles: Roles) -> None:
    await execute(roles.owner, roles.sql("owner"))
    await _migrate(roles.owner)
    async with open_gateway(settings_for(roles.app, db_schema=SCHEMA)) as gateway:
        await serve_calls(gateway)


@pytest.mark.parametrize(
    "statement",
    [
        f"create table {SCHEMA}.mine (id int)",
        f"drop table {SCHEMA}.wallet",
        f"alter table {SCHEMA}.wallet add column more int",
        f"truncate {SCHEMA}.usage_event",
        f"alter table {SCHEMA}.transfer disable trigger all",
    ],
)
async def test_the_role_of_the_processes_changes_no_table(roles: Roles, statement: str) -> None:
    await _migrate(roles.owner)
    await execute(roles.owner, roles.sql("owner"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(roles.app, statement)


@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        ("create_month('wallet', '2030-01-01')", "not a partitioned table"),
        ("drop_month('usage_event', current_date)", "detach it first"),
        ("detach_month('pg_class', current_date)", "not a partitioned table"),
        ("drop_month('usage_event; drop table x', current_date)", "not a partitioned table"),
    ],
)
async def test_the_functions_refuse_everything_but_months(roles: Roles, call: str, refusal: str) -> None:
    await _migrate(roles.owner)
    await execute(roles.owner, roles.sql("owner"))
    with pytest.raises(asyncpg.PostgresError, match=refusal):
        await execute(roles.app, f"select {SCHEMA}.{call}")


async def test_a_role_without_the_grant_may_not_call_them(roles: Roles) -> None:
    await _migrate(roles.owner)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await execute(roles.app, f"select {SCHEMA}.create_month('usage_event', '2030-01-01')")


async def test_a_role_that_may_not_migrate_gets_the_fix(roles: Roles) -> None:
    """Also where the schema is missing, and by command."""
    database = Database(roles.app, schema="nowhere")
    for schema in (SCHEMA, "nowhere"):
        with pytest.raises(ConfigurationError, match=f"as the role that owns the schema '{schema}'"):
            database = Database(roles.app, schema=schema)
            await upgrade(database)
        await database.close()
    told = await run_command("migrate", FAREGATE_DATABASE_URL=roles.app, FAREGATE_DB_SCHEMA=SCHEMA)

    assert told.code == 2
    assert f"create schema {SCHEMA} authorization" in told.err.replace("\n", " ")
