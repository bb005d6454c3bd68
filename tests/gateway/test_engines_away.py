"""Engines that fail during a request: the caller gets a retryable error without internal details."""

import asyncio

import pytest
from pytest_mock import MockerFixture

from faregate.benchmarks.ports import free_port
from support.apps import Answer, Gateway, open_gateway, settings_for
from support.locks import end_waiting, until_waiting, wallets_locked
from support.processes import run_command
from support.rabbitmq import RabbitServer

INTERNAL = ("traceback", "select ", "insert ", "update ", "faregate.wallet", "asyncpg", "sqlalchemy", "aiormq", "redis",
            "/usr", ".py", "errno", "127.0.0.1", "hunter2")  # fmt: skip
BUSY = "the database is busy with other calls and did not finish this one in time; try again"
GRANT = {"credits": 5, "source": "bonus"}


def assert_retryable(answer: Answer) -> None:
    assert (answer.status, answer.error["code"]) == (503, "unavailable"), answer.body
    assert int(answer.headers["retry-after"]) >= 1
    told = str(answer.body).lower().replace(str(answer.error["request_id"]), "")
    assert not [word for word in INTERNAL if word in told], answer.body


async def test_a_terminated_connection_during_a_write_is_retryable(gateway: Gateway) -> None:
    """The connection of a grant that waits for a locked wallet is terminated; the same request can be repeated afterwards."""
    await gateway.grant("ada", 1)
    async with wallets_locked(gateway.database.url):
        waiting = asyncio.create_task(gateway.post("/api/wallets/ada/grants", GRANT, idempotency_key="order-1"))
        await until_waiting(gateway.database)
        await end_waiting(gateway.database)
        answer = await waiting
    again = await gateway.post("/api/wallets/ada/grants", GRANT, idempotency_key="order-1")

    assert_retryable(answer)
    assert (again.status, again.data["balance"]) == (201, 6)


async def test_a_write_to_a_wallet_that_stays_locked_is_retryable(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log says what to look for; others' wallets can be used meanwhile, and the same request can be repeated afterwards."""
    async with open_gateway(settings_for(database_url, db_lock_timeout_seconds=0.05)) as gateway:
        await gateway.feature("chat", strategy="fixed", parameters={"credits": 2})
        await gateway.grant("ada", 9)
        await gateway.grant("bela", 9)
        async with wallets_locked(database_url, "ada"):
            granted = await gateway.post("/api/wallets/ada/grants", GRANT, idempotency_key="order-1")
            started, other = await asyncio.gather(gateway.start("ada", "chat"), gateway.start("bela", "chat"))
            told = capsys.readouterr().out
        again = await gateway.post("/api/wallets/ada/grants", GRANT, idempotency_key="order-1")

    for answer in (granted, started):
        assert_retryable(answer)
        assert answer.error["detail"] == BUSY
    assert "pg_blocking_pids" in told
    assert "request_failed" not in told
    assert (other.status, again.status, again.data["balance"]) == (200, 201, 14)


async def test_a_statement_that_takes_too_long_is_retryable(
    gateway: Gateway, mocker: MockerFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async def read(*_: object, **__: object) -> None:
        async with gateway.database.reading() as session:
            await gateway.database.rows(session, "set local statement_timeout = '20ms'")
            await gateway.database.rows(session, "select pg_sleep(5)")

    mocker.patch.object(gateway.container.wallets(), "get", read)
    answer = await gateway.get("/api/wallets/ada")

    assert_retryable(answer)
    assert answer.error["detail"] == BUSY
    assert "FAREGATE_DB_STATEMENT_TIMEOUT_SECONDS" in capsys.readouterr().out


async def test_calls_succeed_without_redis(database_url: str) -> None:
    redis = f"redis://127.0.0.1:{free_port()}/0"
    async with open_gateway(settings_for(database_url, redis_url=redis)) as gateway:
        written = await gateway.post("/api/wallets/ada/grants", GRANT)
        read = await gateway.get("/api/wallets/ada")

    assert (written.status, read.status, read.data["balance"]) == (201, 200, 5)


async def test_a_gateway_starts_and_settles_without_its_broker(
    database_url: str, fragile_rabbitmq: RabbitServer
) -> None:
    """Calls that need the broker are refused until it is available, and then succeed without a restart."""
    fragile_rabbitmq.stop()
    later = {"prefer": "respond-async"}
    async with open_gateway(settings_for(database_url, broker_url=fragile_rabbitmq.url)) as gateway:
        await gateway.feature("chat", strategy="fixed", parameters={"credits": 2})
        await gateway.grant("ada", 10)
        started = await gateway.start("ada", "chat")
        settled = await gateway.end("ada", "chat", usage_key=started.data["usage_key"], usages=[])
        refused = await gateway.end("ada", "chat", usage_key="later", usages=[], headers=later)
        ready = await gateway.get("/readyz")
        fragile_rabbitmq.start()
        async with asyncio.timeout(60):
            while (
                queued := await gateway.end("ada", "chat", usage_key="later", usages=[], headers=later)
            ).status != 202:
                await asyncio.sleep(0.5)

    assert (started.status, settled.status, settled.data["charged"]) == (200, 200, 2)
    assert_retryable(refused)
    assert ready.status == 503
    assert queued.data["status"] == "processing"


async def test_a_command_that_needs_no_broker_runs_without_it(database_url: str) -> None:
    away = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    done = await run_command("wallets", "list", FAREGATE_DATABASE_URL=database_url, FAREGATE_BROKER_URL=away)

    assert done.code == 0, done.err
    assert "queue_unavailable_at_start" in done.err
