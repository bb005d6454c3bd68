"""Transactions: commit, rollback, retries, time-outs and an unavailable server."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from pytest_mock import MockerFixture
from sqlalchemy import text
from sqlalchemy.exc import InterfaceError
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.connector import Connector
from faregate.core.db.database import Database
from faregate.core.db.error_states import is_unavailable, sqlstate
from faregate.core.db.metadata import metadata
from faregate.core.db.migrate import current_revision, run_alembic
from faregate.core.db.statements import Sql
from faregate.core.db.tables import load_models
from faregate.core.errors import (
    ConfigurationError,
    DatabaseBusyError,
    DatabaseRefusedError,
    EngineUnavailableError,
    RetryTransactionError,
)
from support.servers import execute


@pytest.fixture
async def table(database: Database) -> Database:
    async with database.transaction() as session:
        await session.execute(text("create table public.t (id int primary key, n int not null default 0)"))
        await session.execute(text("insert into public.t (id) values (1), (2)"))
    return database


@pytest.fixture
async def holder(database_url: str, table: Database) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection whose transaction has locked the first row."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("begin; select 1 from public.t where id = 1 for update")
    yield connection
    await connection.close()


@pytest.fixture
async def impatient(database_url: str) -> AsyncGenerator[Database]:
    """A database whose transactions wait for a lock for a twentieth of a second."""
    database = Database(database_url, lock_timeout_seconds=0.05)
    await database.open()
    yield database
    await database.close()


async def _numbers(database: Database) -> dict[int, int]:
    async with database.transaction(read_only=True) as session:
        return {row.id: row.n for row in await database.rows(session, "select id, n from public.t")}


async def test_a_block_that_ends_commits(table: Database) -> None:
    async with table.transaction() as session:
        await table.rows(session, "update public.t set n = :n where id = 1", n=5)

    assert (await _numbers(table))[1] == 5


async def test_a_block_that_raises_rolls_back(table: Database) -> None:
    with pytest.raises(RuntimeError):
        async with table.transaction() as session:
            await table.rows(session, "update public.t set n = 5 where id = 1")
            await table.rows(session, "update public.t set n = 6 where id = 2")
            raise RuntimeError

    assert await _numbers(table) == {1: 0, 2: 0}


async def test_rows_are_the_same_through_sqlalchemy_and_the_driver(database: Database) -> None:
    """The first statement of a transaction goes through SQLAlchemy, the later ones do not."""
    sql = "select cast(:a as text) as a, cast(:b as int) + :b as b, ':a'::text as c, cast(:j as jsonb) as j"
    async with database.transaction() as session:
        first, second = [(await database.rows(session, sql, a="x", b=2, j='{"n": 0.1}'))[0] for _ in range(2)]

    assert (first.a, first.b, first.c, first.j) == (second.a, second.b, second.c, second.j)
    assert str(second.j["n"]) == "0.1"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", list(range(300))),
        ("text", ["one", "", None, *map(str, range(20))]),
        ("timestamptz", [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 20)]),
        ("bytea", [bytes([n]) for n in range(100)]),
        ("bigint", [None] * 50),
        ("bigint", []),
        ("bigint", [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12], [13, 14], [15, 16]]),
    ],
)
async def test_arrays_of_any_length_arrive_as_they_are(database: Database, kind: str, values: list[Any]) -> None:
    async with database.transaction() as session:
        for _ in range(2):  # the second statement of a session goes directly to the driver
            (row,) = await database.rows(session, f"select cast(:values as {kind}[]) as found", values=values)
            assert row.found == values


async def test_transactions_leave_nothing_for_the_garbage_collector(table: Database) -> None:
    """Each left some fifty objects once. What the tests before have left may end meanwhile, but not three times."""
    await _numbers(table)
    assert min([await _garbage_of_transactions(table) for _ in range(3)]) < 20


async def _garbage_of_transactions(database: Database) -> int:
    gc.collect()
    gc.disable()
    try:
        for number in range(20):
            async with database.transaction() as session:
                await database.rows(session, "update public.t set n = :n where id = 1", n=number)
        return gc.collect()
    finally:
        gc.enable()


async def test_a_read_only_transaction_writes_nothing(table: Database) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as refused:
        async with table.transaction(read_only=True) as session:
            await table.rows(session, "update public.t set n = 5")

    assert sqlstate(refused.value) == "25006"


async def test_the_session_has_its_time_outs(database_url: str) -> None:
    database = Database(database_url, statement_timeout_seconds=3, lock_timeout_seconds=0.5)
    await database.open()
    async with database.transaction() as session:
        shown = [
            (await database.rows(session, f"show {name}"))[0][0]
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "timezone")
        ]
    await database.close()

    assert shown == ["3s", "500ms", "3s", "UTC"]


async def test_a_deadlock_victim_is_retried(table: Database) -> None:
    met = asyncio.Barrier(2)
    tries = 0

    async def work(session: AsyncSession, first: int, second: int) -> None:
        nonlocal tries
        tries += 1
        await table.rows(session, "update public.t set n = n + 1 where id = :id", id=first)
        if tries <= 2:
            await met.wait()
        await table.rows(session, "update public.t set n = n + 1 where id = :id", id=second)

    await asyncio.gather(table.run(lambda s: work(s, 1, 2)), table.run(lambda s: work(s, 2, 1)))

    assert await _numbers(table) == {1: 2, 2: 2}
    assert tries == 3


async def test_a_lock_time_out_is_retried_until_the_lock_is_free(
    table: Database, impatient: Database, holder: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    async def work(session: AsyncSession) -> None:
        await impatient.rows(session, "select 1")
        await impatient.rows(session, "update public.t set n = 9 where id = 1")

    trying = asyncio.create_task(impatient.run(work))
    await asyncio.sleep(0.2)
    await holder.execute("commit")
    await trying

    assert (await _numbers(table))[1] == 9


async def test_attempts_are_bounded(database: Database) -> None:
    tries = 0

    async def work(_session: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        raise RetryTransactionError("again")

    with pytest.raises(DatabaseBusyError, match="again"):
        await database.run(work, attempts=3)

    assert tries == 3


@pytest.mark.usefixtures("holder")
@pytest.mark.parametrize("by", ["run", "run_briefly", "transaction"])
async def test_rows_that_stay_locked_are_reported_with_what_keeps_them(
    table: Database, impatient: Database, by: str
) -> None:
    async def work(session: AsyncSession) -> None:
        await impatient.rows(session, "update public.t set n = 9 where id = 1")

    async def once(work: Callable[[AsyncSession], Awaitable[None]]) -> None:
        async with impatient.transaction() as session:
            await work(session)

    transact = once if by == "transaction" else getattr(impatient, by)
    with pytest.raises(DatabaseBusyError, match=r"other transactions keep rows locked.*pg_blocking_pids") as refused:
        await transact(work)

    assert refused.value.sqlstate == "55P03"
    assert "pg_blocking_pids" not in refused.value.public_detail
    assert (await _numbers(table))[1] == 0


async def test_a_statement_that_takes_too_long_is_reported_and_not_tried_again(database_url: str) -> None:
    database = Database(database_url, statement_timeout_seconds=0.05)
    await database.open()
    tries = 0

    async def work(session: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        await database.rows(session, "select pg_sleep(9)")

    with pytest.raises(DatabaseBusyError, match=r"took too long.*FAREGATE_DB_STATEMENT_TIMEOUT_SECONDS"):
        await database.run(work)
    await database.close()

    assert tries == 1


async def test_a_lock_time_out_within_a_joined_transaction_repeats_the_whole(
    table: Database, impatient: Database, holder: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    tries = 0

    async def inner(session: AsyncSession) -> None:
        await impatient.rows(session, "update public.t set n = n + 1 where id = 1")

    async def outer(session: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        await impatient.rows(session, "update public.t set n = n + 1 where id = 2")
        if tries == 3:
            await holder.execute("commit")
        await impatient.run(inner)

    await impatient.run_joined(outer)

    assert tries == 3
    assert await _numbers(table) == {1: 1, 2: 1}


async def test_a_wrong_statement_is_not_retried(database: Database) -> None:
    tries = 0

    async def work(session: AsyncSession) -> None:
        nonlocal tries
        tries += 1
        await database.rows(session, "select 1")
        await database.rows(session, "select nonsense")

    with pytest.raises(asyncpg.PostgresError):
        await database.run(work)

    assert tries == 1


async def test_a_missing_server_is_reported_as_unavailable() -> None:
    database = Database("postgresql://postgres@127.0.0.1:1/none")
    await database.open()

    with pytest.raises(EngineUnavailableError):
        async with database.transaction() as session:
            await database.rows(session, "select 1")
    await database.close()


@pytest.mark.parametrize("statements", [1, 2])
async def test_a_lost_connection_is_reported_as_unavailable_and_replaced(
    database: Database, database_url: str, statements: int
) -> None:
    with pytest.raises(EngineUnavailableError):
        async with database.transaction() as session:
            pid = [await database.rows(session, "select pg_backend_pid()") for _ in range(statements)][-1][0][0]
            killer = await asyncpg.connect(database_url)
            await killer.execute("select pg_terminate_backend($1)", pid)
            await killer.close()
            await database.rows(session, "select 1")

    async with database.transaction() as session:
        assert (await database.rows(session, "select 2"))[0][0] == 2


async def test_a_connection_lost_at_the_first_statement_of_a_process_is_reported_as_unavailable(
    database_url: str, mocker: MockerFixture
) -> None:
    """SQLAlchemy asks for the server's version when it connects first, and the server may end just then."""
    database = Database(database_url)
    await database.open()

    def losing(established: Any) -> Any:
        async def lost(self: Connector, url: str) -> "asyncpg.Connection[asyncpg.Record]":
            connection: asyncpg.Connection[asyncpg.Record] = await established(self, url)
            killer = await asyncpg.connect(database_url)
            await killer.execute("select pg_terminate_backend($1, 10000)", connection.get_server_pid())
            await killer.close()
            return connection

        return lost

    mocker.patch.object(Connector, "pooled", losing(Connector.pooled))
    mocker.patch.object(Connector, "direct", losing(Connector.direct))

    with pytest.raises(EngineUnavailableError, match="the connection was lost"):
        await database.check()
    with pytest.raises(EngineUnavailableError, match="the connection was lost"):
        await current_revision(database)
    with pytest.raises(EngineUnavailableError, match="the connection was lost"):
        await run_alembic(database, "current")
    await database.close()


async def test_a_connection_lost_within_a_copy_is_reported_as_unavailable(database: Database, server_url: str) -> None:
    """The driver then refuses the rollback, since the COPY has not ended for it."""

    async def lost(pid: int) -> AsyncGenerator[bytes]:
        yield b"1\n"
        await execute(server_url, f"select pg_terminate_backend({pid})")
        for _ in range(10_000):
            yield b"2\n" * 1000

    with pytest.raises(EngineUnavailableError, match="the connection was lost"):
        async with database.transaction() as session:
            await database.rows(session, "create temporary table t (n int)")
            driver = await database.driver(session)
            await driver.copy_to_table("t", source=lost(driver.get_server_pid()))


_MANY_ROWS = 5_000_000


async def _copy_text(driver: "asyncpg.Connection[asyncpg.Record]") -> None:
    async def source() -> AsyncGenerator[bytes]:
        yield b"1\n" * 10 * _MANY_ROWS
        yield b"2\n"

    await driver.copy_to_table("t", source=source())


async def _copy_records(driver: "asyncpg.Connection[asyncpg.Record]") -> None:
    await driver.copy_records_to_table("t", records=((1,) for _ in range(_MANY_ROWS)))


async def _insert_each(driver: "asyncpg.Connection[asyncpg.Record]") -> None:
    await driver.executemany("insert into t values ($1)", [(1,)] * (_MANY_ROWS // 10))


@pytest.mark.parametrize("write", [_copy_text, _copy_records, _insert_each])
async def test_a_connection_lost_while_rows_wait_for_room_ends_the_statement(
    database: Database, server_url: str, write: Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[None]]
) -> None:
    """Without our part, the driver waits for ever for room in the buffer of a socket that is gone."""
    with pytest.raises(EngineUnavailableError, match="the connection was lost"):
        async with asyncio.timeout(30) as limit, database.transaction() as session:
            await database.rows(session, "create temporary table t (n int)")
            driver = await database.driver(session)
            loss = execute(server_url, f"select pg_sleep(0.2), pg_terminate_backend({driver.get_server_pid()})")
            await asyncio.gather(write(driver), loss)
    assert not limit.expired()


async def test_an_error_of_the_rows_remains_the_error_of_a_copy(table: Database) -> None:
    async def source() -> AsyncGenerator[bytes]:
        yield b"3\t3\n"
        raise ValueError("a row that cannot be read")

    with pytest.raises(ValueError, match="a row that cannot be read"):
        async with table.transaction() as session:
            await (await table.driver(session)).copy_to_table("t", schema_name="public", source=source())

    assert await _numbers(table) == {1: 0, 2: 0}


@pytest.mark.parametrize(("cause", "expected"), [(asyncpg.InterfaceError, True), (asyncpg.DataError, False)])
def test_a_refusal_of_the_driver_means_a_lost_connection_and_a_wrong_value_does_not(
    cause: type[Exception], expected: bool
) -> None:
    refused = Exception("cannot perform operation: another operation is in progress")
    refused.__cause__ = cause("said by the driver")

    assert is_unavailable(InterfaceError("rollback", None, refused)) is expected


async def test_a_connection_that_was_closed_while_idle_costs_no_call(database: Database, database_url: str) -> None:
    async with database.transaction() as session:
        ((pid,),) = await database.rows(session, "select pg_backend_pid()")
        idle = await database.driver(session)
    killer = await asyncpg.connect(database_url)
    await killer.execute("select pg_terminate_backend($1)", pid)
    await killer.close()
    async with asyncio.timeout(10):
        while not idle.is_closed():
            await asyncio.sleep(0.01)

    async with database.transaction() as session:
        assert (await database.rows(session, "select pg_backend_pid()"))[0][0] != pid


@pytest.mark.parametrize("change", [{"path": "/no_such_database"}, {"query": "sslmode=banana"}])
async def test_a_refused_login_is_reported_with_the_setting(database_url: str, change: dict[str, str]) -> None:
    """Operators get one sentence with the cause; callers learn only that the database is unavailable."""
    database = Database(urlsplit(database_url)._replace(**change).geturl())
    try:
        with pytest.raises((DatabaseRefusedError, ConfigurationError), match="FAREGATE_DATABASE_URL") as refused:
            await database.open()
            async with database.transaction() as session:
                await database.rows(session, "select 1")
    finally:
        await database.close()

    assert "\n" not in refused.value.detail
    assert "no_such_database" not in DatabaseRefusedError(refused.value.detail, "").public_detail


async def test_close_waits_for_a_running_transaction(database_url: str, table: Database) -> None:
    """Its work is committed, and its connection closed."""
    database = Database(database_url)
    await database.open()
    began = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as session:
            await database.rows(session, "update public.t set n = 5 where id = 1")
            began.set()
            await asyncio.sleep(0.1)

    working = asyncio.create_task(work())
    await began.wait()
    await database.close()

    assert working.done()
    assert await _numbers(table) == {1: 5, 2: 0}
    assert await _other_connections(table) == 0


async def test_close_cuts_off_a_transaction_that_does_not_end(
    database_url: str, table: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faregate.core.db.database._CLOSING_SECONDS", 0.1)
    database = Database(database_url)
    await database.open()
    holding = database.transaction()
    session = await holding.__aenter__()
    await database.rows(session, "update public.t set n = 5 where id = 1")
    await database.close()

    assert await _other_connections(table) == 0
    assert await _numbers(table) == {1: 0, 2: 0}
    with pytest.raises(EngineUnavailableError):
        await holding.__aexit__(None, None, None)


async def _other_connections(database: Database) -> int:
    """Return how many connections to the database do not belong to `database`, once PostgreSQL has noticed closed ones."""
    sql = "select count(*) as n from pg_stat_activity where datname = current_database() and application_name = 'faregate'"
    for _ in range(50):
        async with database.transaction(read_only=True) as session:
            (row,) = await database.rows(session, sql)
        if row.n == 1:
            break
        await asyncio.sleep(0.02)
    return int(row.n) - 1


async def test_a_database_that_was_not_opened_raises_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match="not open"):
        async with Database("postgresql://x/y").transaction():
            pass


def test_sql_names_our_schema_and_runs_in_the_configured_one() -> None:
    sql = Sql("tenant_a").text("select faregate.wallet.x, 'faregate' from faregate.wallet")

    assert sql == "select tenant_a.wallet.x, 'faregate' from tenant_a.wallet"


def test_tables_are_not_in_the_hosts_metadata() -> None:
    from sqlmodel import SQLModel

    load_models()

    assert not [name for name in SQLModel.metadata.tables if name.startswith("faregate")]
    assert "faregate.wallet" in metadata.tables
