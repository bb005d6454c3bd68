"""pgbouncer in transaction mode: everything works with a direct address beside it, and without one the start is refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from faregate.core.db.database import Database
from faregate.core.errors import ConfigurationError, FaregateError
from faregate.core.settings import load_settings
from support.apps import open_gateway, settings_for
from support.deployments import archiving, run_jobs, serve_calls, settle_messages, type_commands, use_a_later_month
from support.pgbouncer import pgbouncer
from support.processes import run_command

FIX = "set FAREGATE_DIRECT_DATABASE_URL to the address of PostgreSQL itself"
DROPPED = "extra_float_digits, jit, statement_timeout, lock_timeout, idle_in_transaction_session_timeout"


@pytest.fixture
async def pooled_url(database_url: str) -> AsyncIterator[str]:
    """The address of a fresh, migrated database through pgbouncer."""
    async with pgbouncer(database_url) as url:
        yield url


async def test_a_deployment_runs_through_it(database_url: str, pooled_url: str, tmp_path: Path) -> None:
    """Calls, COPY, settlement by queue with LISTEN, every job, archives, exports, `verify`, backup."""
    settings = settings_for(pooled_url, direct_database_url=database_url, **archiving(tmp_path))
    async with open_gateway(settings) as gateway:
        await serve_calls(gateway)
        await settle_messages(gateway, settings)
    await use_a_later_month(settings)
    await run_jobs(settings, ahead_days=600)
    await type_commands(settings, tmp_path)


async def test_concurrent_transactions_change_connections_and_keep_their_settings(
    database_url: str, pooled_url: str
) -> None:
    """Twelve connections of ours on three of the server: no statement is missed, and each transaction has its time-outs and UTC."""
    database = Database(
        pooled_url, direct_url=database_url, pool_size=12, statement_timeout_seconds=7, lock_timeout_seconds=3
    )
    await database.open()
    sql = """
    select pg_backend_pid() as pid, current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement,
      current_setting('idle_in_transaction_session_timeout') as idle, current_setting('timezone') as zone,
      current_setting('jit') as jit, current_setting('transaction_read_only') as read_only
    """

    three = asyncio.Barrier(3)  # transactions are open at once, so that all three connections are used

    async def look(read_only: bool) -> tuple[object, ...]:
        async with database.transaction(read_only=read_only) as session:
            await database.rows(session, "select 1 as one")
            await three.wait()
            (row,) = await database.rows(session, sql)
            await database.rows(session, "select 2 as two")
            return tuple(row)

    seen = await asyncio.gather(*(look(number % 2 == 0) for number in range(60)))
    await database.close()

    assert {tuple(row[1:6]) for row in seen} == {("3s", "7s", "7s", "UTC", "off")}
    assert [row[6] for row in seen] == [("on", "off")[number % 2] for number in range(60)]
    assert len({row[0] for row in seen}) == 3


async def test_a_transaction_leaves_nothing_on_the_servers_connection(database_url: str, pooled_url: str) -> None:
    """Other applications may share the pool: its settings end with the transaction, and no statement stays prepared."""
    database = Database(pooled_url, direct_url=database_url, lock_timeout_seconds=3)
    await database.open()
    for _ in range(3):
        async with database.transaction() as session:
            await database.rows(session, "select 1 as one")
            prepared = await database.rows(session, "select name from pg_prepared_statements")
            assert list(prepared) == []
    driver = await asyncpg.connect(pooled_url, statement_cache_size=0)
    left = await driver.fetchval("select current_setting('lock_timeout')")
    await driver.close()
    await database.close()

    assert left == "0"


async def test_without_a_direct_address_it_is_refused_with_the_fix(pooled_url: str) -> None:
    database = Database(pooled_url)
    await database.open()
    with pytest.raises(ConfigurationError, match=FIX):
        async with database.transaction() as session:
            await database.rows(session, "select 1 as one")
    await database.close()
    for command in ("doctor", "migrate", "verify"):
        done = await run_command(command, FAREGATE_DATABASE_URL=pooled_url)
        assert done.code in {1, 2}
        assert FIX in " ".join((done.out + done.err).split()), (done.out, done.err)


async def test_a_pooler_that_drops_the_settings_is_refused_as_well(database_url: str) -> None:
    """`ignore_startup_parameters` would lose the time-outs in silence."""
    async with pgbouncer(database_url, ignore_startup_parameters=DROPPED) as url:
        database = Database(url)
        await database.open()
        with pytest.raises(ConfigurationError, match="a pooler that drops .*lock_timeout.*" + FIX):
            async with database.transaction() as session:
                await database.rows(session, "select 1 as one")
        await database.close()


async def test_a_direct_address_that_leads_to_the_pooler_is_named(pooled_url: str) -> None:
    database = Database(pooled_url, direct_url=pooled_url)
    await database.open()
    with pytest.raises(ConfigurationError, match="FAREGATE_DIRECT_DATABASE_URL leads to a pooler"):
        await database.connect()
    await database.close()


async def test_a_direct_address_alone_is_refused() -> None:
    from faregate.core.container import make_database

    with pytest.raises(FaregateError, match="but not FAREGATE_DATABASE_URL"):
        make_database(load_settings(database_url=None, direct_database_url="postgresql://db/x"))
