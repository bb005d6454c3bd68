"""Several PostgreSQL servers: the primary is found, a frozen or demoted server is left, a commit is never half cancelled."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from faults.proxy import Proxy
from sqlalchemy import text

from faregate.core.db import server_watch, servers
from faregate.core.db.database import Database
from faregate.core.db.embedded import EmbeddedServer
from faregate.core.db.shared_pool import SchemaDatabase
from faregate.core.errors import DatabaseRefusedError, DatabaseUnavailableError, EngineUnavailableError
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE as QUEUE
from support.apps import Gateway, open_gateway, settings_for
from support.servers import address, execute, in_memory


@pytest.fixture(scope="module")
def standby() -> Iterator[EmbeddedServer]:
    """A server that refuses writes, as a standby does."""
    with tempfile.TemporaryDirectory(prefix="fg-standby-", dir=in_memory(), ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        options = {"default_transaction_read_only": "on"}
        server = EmbeddedServer(Path(directory) / "pg", durable=False, options=options)
        server.start_now()
        yield server
        server.stop_now()


@pytest.fixture
async def standby_url(standby: EmbeddedServer, database_url: str) -> AsyncIterator[str]:
    """The address of a database on the standby, with the name of the one on the primary."""
    name = urlsplit(database_url).path.lstrip("/")
    writable = f"{standby.url}&default_transaction_read_only=off"
    await execute(writable, f"create database {name}")
    yield address(standby.url, name)
    await execute(writable, f"drop database {name} with (force)")


@pytest.fixture
async def proxies(database_url: str) -> AsyncIterator[list[Proxy]]:
    """Two ways over TCP to the primary."""
    proxies = [Proxy(lambda: asyncio.open_unix_connection(_socket(database_url))) for _ in range(2)]
    for proxy in proxies:
        await proxy.listen()
    yield proxies
    for proxy in proxies:
        await proxy.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_watch, "_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(server_watch, "_ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(servers, "_CONNECT_SECONDS_OF_SEVERAL", 1)


def _socket(url: str) -> str:
    return f"{_directory(url)}/.s.PGSQL.5432"


def _directory(url: str) -> str:
    return parse_qs(urlsplit(url).query)["host"][0]


def _through(url: str, *ports: int) -> str:
    return f"postgresql://postgres@{','.join(f'127.0.0.1:{port}' for port in ports)}{urlsplit(url).path}"


async def test_of_several_servers_the_one_that_accepts_writes_is_used(database_url: str, standby_url: str) -> None:
    """By calls, by LISTEN and by statements outside the pool."""
    directories = ["/nowhere", _directory(standby_url), _directory(database_url)]
    url = f"postgresql://postgres@{urlsplit(database_url).path}?host={','.join(directories)}"
    database = Database(url)
    transport = PostgresTransport(database)
    await transport.open()
    try:
        consumer = await transport.consume(QUEUE)
        await transport.publish(QUEUE, [OutgoingMessage(b"{}")])
        taken = await consumer.take(1, wait_seconds=10)
        await consumer.close()
        apart = await database.connect()
        read_only = await apart.fetchval("show default_transaction_read_only")
        await apart.close()
    finally:
        await transport.close()
        await database.close()

    assert [delivery.body for delivery in taken] == [b"{}"]
    assert read_only == "off"


async def test_a_database_that_a_standby_has_not_yet_is_found_on_the_primary(
    database_url: str, standby: EmbeddedServer
) -> None:
    name = urlsplit(database_url).path.lstrip("/")
    url = f"postgresql://postgres@/{{}}?host={_directory(standby.url)},{_directory(database_url)}"
    database, unknown = Database(url.format(name)), Database(url.format("unheard_of"))
    await database.open()
    await unknown.open()

    await database.check()
    with pytest.raises(DatabaseRefusedError, match="has no database 'unheard_of'"):
        await unknown.check()
    await database.close()
    await unknown.close()


async def test_the_error_says_why_no_server_can_be_used(standby_url: str, proxies: list[Proxy]) -> None:
    silent = proxies[0]
    silent.refuse()
    name = urlsplit(standby_url).path.lstrip("/")
    database = Database(f"postgresql://me:hunter2@127.0.0.1:1,127.0.0.1:{silent.port}/{name}")
    standbys = Database(f"postgresql://postgres@/{name}?host={_directory(standby_url)},/nowhere&port=5432,6543")
    await database.open()
    await standbys.open()

    with pytest.raises(DatabaseUnavailableError) as wrong:
        await database.check()
    with pytest.raises(DatabaseUnavailableError, match=r"it is not read-write; /nowhere: there is no socket"):
        await standbys.check()
    single = Database(f"{standby_url}&target_session_attrs=read-write")
    await single.open()
    with pytest.raises(DatabaseUnavailableError, match=r"\([^;]*: it is not read-write\)"):
        await single.check()
    await single.close()
    await database.close()
    await standbys.close()

    assert wrong.value.detail.startswith(
        f"postgresql://me@127.0.0.1:1,127.0.0.1:{silent.port}/{name}: no server accepts connections "
        "(127.0.0.1:1: nothing listens there (connection refused); 127.0.0.1:"
    )
    assert "a failover takes some seconds" in wrong.value.fix
    assert "hunter2" not in wrong.value.detail


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("of_tenant", [False, True], ids=["own pool", "shared pool"])
async def test_a_frozen_server_is_left_for_the_next_one(
    database_url: str, proxies: list[Proxy], of_tenant: bool
) -> None:
    """Its connections stay open: nothing but a question that is not answered tells. Also for one of several tenants."""
    frozen, sound = proxies
    pool = Database(_through(database_url, frozen.port, sound.port))
    database = SchemaDatabase(pool, "faregate", share=2) if of_tenant else pool
    await database.open()
    try:
        async with database.transaction() as session:
            await database.rows(session, "select 1")
        frozen.freeze()
        with pytest.raises(EngineUnavailableError, match="the connection was lost"):
            async with asyncio.timeout(10):
                async with database.transaction() as session:
                    await database.rows(session, "select 2")
        async with asyncio.timeout(10):
            async with database.transaction() as session:
                assert (await database.rows(session, "select 3"))[0][0] == 3
    finally:
        await database.close()
        await pool.close()
    assert sound.accepted > 0


@pytest.mark.usefixtures("impatient")
async def test_a_long_statement_of_a_server_that_answers_is_left_alone(database: Database) -> None:
    async with database.transaction() as session:
        assert (await database.rows(session, "select pg_sleep(1.5), 7"))[0][1] == 7


async def test_a_write_that_meets_a_standby_is_tried_on_another_connection(database_url: str, standby_url: str) -> None:
    """A load balancer has one address for all: after a failover its old connections lead to a standby."""
    now = [standby_url]
    balancer = Proxy(lambda: asyncio.open_unix_connection(_socket(now[0])))
    await balancer.listen()
    database = Database(_through(database_url, balancer.port))
    await database.open()
    try:
        for before in ("select 1", "create table public.t (n int)"):
            with pytest.raises(
                DatabaseUnavailableError, match="the server is a standby or read-only, and takes no writes"
            ):
                async with database.transaction() as session:
                    await database.rows(session, before)
                    await database.rows(session, "create table public.t (n int)")
        now[0] = database_url
        async with database.transaction() as session:
            await database.rows(session, "create table public.t (n int)")
    finally:
        await database.close()
        await balancer.close()


async def test_a_commit_whose_caller_gives_up_shows_nothing_before_a_standby_has_it(
    database_url: str, server_url: str, database: Database
) -> None:
    """PostgreSQL commits on the primary alone when a waiting COMMIT is cancelled, and a failover would forget it."""
    await execute(database_url, "create table public.t (n int)")
    await execute(server_url, "alter system set synchronous_standby_names = 'nobody'")
    await execute(server_url, "select pg_reload_conf()")
    try:
        async with database.transaction(read_only=True) as session:
            async with asyncio.timeout(10):
                while not (await database.rows(session, "show synchronous_standby_names"))[0][0]:
                    await asyncio.sleep(0.01)

        async def write() -> None:
            async with database.transaction() as session:
                await session.execute(text("set local synchronous_commit = on"))
                await session.execute(text("insert into public.t values (1)"))

        writing = asyncio.create_task(write())
        await _commit_waits(server_url)
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError, EngineUnavailableError):
            await writing
        async with database.transaction(read_only=True) as session:
            assert (await database.rows(session, "select count(*) from public.t"))[0][0] == 0
    finally:
        await execute(server_url, "alter system reset synchronous_standby_names")
        await execute(server_url, "select pg_reload_conf()")


async def _commit_waits(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(10):
            while not await connection.fetchval("select count(*) from pg_stat_activity where wait_event = 'SyncRep'"):
                await asyncio.sleep(0.01)
    finally:
        await connection.close()


@pytest.mark.usefixtures("impatient")
async def test_calls_get_503_with_retry_after_until_another_server_answers(
    database_url: str, proxies: list[Proxy]
) -> None:
    first, second = proxies
    second.refuse()
    async with open_gateway(settings_for(_through(database_url, first.port, second.port))) as gateway:
        await gateway.feature("ai_chat_v1", min_credits=2)
        await gateway.grant("ada", 10)
        assert (await _start(gateway, "use-1")) == (200, None)
        first.freeze()
        frozen = await _start(gateway, "use-2")
        nowhere = await _start(gateway, "use-2")
        second.admit()
        async with asyncio.timeout(10):
            while (back := await _start(gateway, "use-2"))[0] != 200:
                assert back == (503, "1")

    assert (frozen, nowhere) == ((503, "1"), (503, "1"))


async def _start(gateway: Gateway, key: str) -> tuple[int, str | None]:
    body = {"user_id": "ada", "feature_endpoint_id": "ai_chat_v1", "usage_key": key}
    answer = await gateway.post("/api/credits-process/start", body)
    return answer.status, answer.headers.get("retry-after")
