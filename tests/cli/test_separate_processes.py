"""Gateway and worker as separate processes on PostgreSQL and RabbitMQ.

They must charge the same as one process. The short form replays 200 generated requests; FAREGATE_TEST_REPLAY_FILE names
a recorded file to replay instead.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiormq
import pytest
from aiormq.exceptions import ChannelNotFoundEntity

from faregate.benchmarks.ports import free_port
from faregate.cli.demo.load_driver import Client, open_client
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.core.messaging.rabbitmq.transport import RabbitTransport
from faregate.wire import exact_json
from faregate.wire.queues import PUBLIC_QUEUES, SETTLE_MULTIMODEL_QUEUE
from support.apps import KEY
from support.processes import Command, run_command, start_command

MONEY = ("rides", "input_tokens", "output_tokens", "provider_cost_usd", "credits_consumed", "credits_charged")

LONG = os.environ.get("FAREGATE_TEST_REPLAY_FILE")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    if LONG:
        return Path(LONG)
    rng = random.Random(7)
    lines = [f"2023-11-16 18:17:{n % 60:02d}.97,{rng.randint(1, 4000)},{rng.randint(1, 500)}\n" for n in range(200)]
    path = tmp_path / "recorded.csv"
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(lines))
    return path


@pytest.fixture
def environment(database_url: str, broker_url: str) -> dict[str, str]:
    return {
        "FAREGATE_DATABASE_URL": database_url,
        "FAREGATE_BROKER_URL": broker_url,
        "FAREGATE_SERVER_API_KEY": KEY,
        "FAREGATE_SETTLE_BATCH_SIZE": "20",
    }


@pytest.fixture
async def gateway(environment: dict[str, str]) -> AsyncIterator[str]:
    """The address of a gateway process."""
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    async with _process("gateway", "--port", port, **environment):
        async with open_client(url, KEY) as client, asyncio.timeout(60):
            while (await client.call("GET", "/readyz"))[0] != 200:
                await asyncio.sleep(0.1)
        yield url


@asynccontextmanager
async def _process(*arguments: str, **environment: str) -> AsyncGenerator[Command]:
    process = await start_command(*arguments, **environment)
    draining = asyncio.create_task(process.communicate())
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await draining


async def _replay(recording: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    done = await run_command("replay", str(recording), "-o", "json", *arguments, **environment)
    assert done.code == 0, done.err
    told: dict[str, Any] = exact_json.loads(done.out.encode())
    return {name: told[name] for name in MONEY}


async def _settled(client: Client, usage_key: str) -> bool:
    _, answer = await client.call("GET", f"/api/credits-process/{usage_key}")
    return bool(answer["success"] and answer["data"]["status"] == "settled")


async def test_a_replay_through_rabbitmq_costs_the_same_although_its_worker_is_killed(
    recording: Path, gateway: str, environment: dict[str, str], broker_url: str, tmp_path: Path
) -> None:
    """The short form compares with settlement in the HTTP calls, the long form with `faregate replay` on a private deployment."""
    middle = recording.read_text().count("\n") // 2
    replay = asyncio.create_task(_replay(recording, "--url", gateway, "--run", "split", **environment))
    async with open_client(gateway, KEY) as client, _process("worker", **environment) as doomed:
        while not await _settled(client, f"split:{middle}"):
            assert not replay.done(), "the replay ended before its worker was killed"
            await asyncio.sleep(0.02)
        assert not replay.done()
        doomed.kill()
        await doomed.wait()
    async with _process("worker", **environment):
        split = await replay

    if LONG:
        expected = await _replay(recording, "--data-dir", str(tmp_path / "embedded"))
    else:
        expected = await _replay(recording, "--url", gateway, "--run", "http", "--settle", "http", **environment)
    verified = await run_command("verify", **environment)
    transport = RabbitTransport(broker_url)
    left = (await transport.backlog(SETTLE_MULTIMODEL_QUEUE)).depth
    dead = [letter async for letter in transport.dead_letters()]
    await transport.close()

    print(split)
    assert split == expected
    assert (verified.code, left, dead) == (0, 0, []), verified.err


@pytest.mark.parametrize("command", ["gateway", "worker"])
async def test_each_process_declares_the_queues(command: str, environment: dict[str, str], broker_url: str) -> None:
    """Whichever process starts first declares the queues, so that no publisher finds one missing."""
    options = ("--port", "0") if command == "gateway" else ()
    async with _process(command, *options, **environment) as process, asyncio.timeout(60):
        missing = set(PUBLIC_QUEUES)
        while missing:
            assert process.returncode is None
            missing = {queue for queue in missing if not await _exists(broker_url, queue)}


async def _exists(broker_url: str, queue: str) -> bool:
    connection = await aiormq.connect(broker_url)
    try:
        channel = await connection.channel()
        await channel.queue_declare(queue, passive=True)
    except ChannelNotFoundEntity:
        return False
    finally:
        await connection.close()
    return True


async def test_up_settles_from_the_given_broker(environment: dict[str, str], tmp_path: Path) -> None:
    ready = tmp_path / "up.json"
    broker = environment.pop("FAREGATE_BROKER_URL")
    options = ("--port", "0", "--ready-file", str(ready), "--broker", broker)
    async with _process("up", *options, **environment) as process:
        async with asyncio.timeout(60):
            while not ready.exists():
                assert process.returncode is None
                await asyncio.sleep(0.05)
        url = exact_json.loads(ready.read_bytes())["url"]
        async with open_client(url, KEY) as client:
            await client.must("PUT", "/api/features/chat", {"strategy": "token_priced", "min_credits": 1})
            await client.must("POST", "/api/wallets/ada/grants", {"credits": 5, "source": "purchase"})
            transport = RabbitTransport(broker)
            usage = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
            body = {"user_id": "ada", "feature_endpoint_id": "chat", "usage_key": "k", "usages": [usage]}
            await transport.publish(SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(exact_json.dumps(body))])
            await transport.close()
            async with asyncio.timeout(20):
                while not (await client.call("GET", "/api/credits-process/k"))[1]["success"]:
                    await asyncio.sleep(0.1)
            wallet = await client.must("GET", "/api/wallets/ada")

    assert wallet["balance"] == exact_json.loads("4.58")
