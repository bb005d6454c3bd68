"""Settlement by queue over RabbitMQ, and the fallbacks without it."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from client.conftest import Line

from faregate.benchmarks.ports import free_port
from faregate.client import CreditsClient, ModelUsage, Retry, SyncCreditsClient, UseResult
from faregate.client.errors import UnavailableError
from faregate.client.transport.broker import SETTLE_MULTIMODEL_QUEUE, Broker
from faregate.core.messaging.rabbitmq.transport import RabbitTransport
from support.apps import KEY, Gateway, open_gateway, running_worker, settings_for

GPT = ModelUsage("gpt-4o", 1000, 100)


@pytest.fixture
async def gateway(database_url: str, broker_url: str) -> AsyncIterator[Gateway]:
    """A gateway and a worker on RabbitMQ."""
    settings = settings_for(database_url, broker_url=broker_url)
    async with open_gateway(settings) as gateway, running_worker(settings):
        await gateway.feature("ai_chat_v1", min_credits=2)
        await gateway.grant("ada", 10)
        yield gateway


@pytest.fixture
def line(gateway: Gateway) -> Line:
    return Line(gateway)


async def _balance(gateway: Gateway, wanted: str) -> Decimal:
    balance = Decimal(-1)
    for _ in range(200):
        balance = (await gateway.get("/api/wallets/ada")).data["balance"]
        if balance == Decimal(wanted):
            break
        await asyncio.sleep(0.05)
    return balance


async def test_a_charge_is_settled_by_the_broker_while_the_gateway_is_unavailable(
    gateway: Gateway, line: Line, quick: Retry, broker_url: str
) -> None:
    async with CreditsClient("http://gateway", KEY, broker_url=broker_url, transport=line, retry=quick) as credits:
        async with credits.charge("ai_chat_v1", user_id="ada") as ride:
            ride.add("gpt-4o", input_tokens=1000, output_tokens=100)
            line.cut = True
        again = await credits.settle_via_queue("ai_chat_v1", user_id="ada", usage_key=ride.usage_key, usages=[GPT])

    assert ride.result == UseResult("ada", ride.usage_key, "pending", by="broker") == again
    assert await _balance(gateway, "9.58") == Decimal("9.58")


async def test_a_dead_broker_falls_back_to_the_gateway_and_then_to_the_spool(
    gateway: Gateway, line: Line, quick: Retry, tmp_path: Path
) -> None:
    nobody = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    async with CreditsClient(
        "http://gateway", KEY, broker_url=nobody, transport=line, retry=quick, spool_dir=tmp_path
    ) as credits:
        go = await credits.authorize("ai_chat_v1", user_id="ada")
        first = await credits.settle_via_queue("ai_chat_v1", user_id="ada", usage_key=go.usage_key, usages=[GPT])
        line.cut = True
        second = await credits.settle_via_queue("ai_chat_v1", user_id="ada", usage_key="k", usages=[GPT])
        line.cut = False

    assert (first.by, second.by) == ("gateway", "spool")
    assert await _balance(gateway, "9.16") == Decimal("9.16")


async def test_an_unroutable_message_is_not_reported_as_published(broker_url: str) -> None:
    """Without `mandatory`, RabbitMQ confirms such a message and drops it."""
    broker = Broker(broker_url, timeout_seconds=5)
    with pytest.raises(UnavailableError):
        await broker.publish("nothing", b"{}")
    await broker.aclose()


async def test_a_dead_node_of_a_cluster_is_passed_over(broker_url: str) -> None:
    nobody = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    owner = RabbitTransport(broker_url)
    await owner.open()  # makes the queues
    for _ in range(4):  # the order is random
        broker = Broker(f"{nobody},{broker_url}", timeout_seconds=5)
        await broker.publish(SETTLE_MULTIMODEL_QUEUE, b"{}")
        await broker.aclose()
    depth = (await owner.backlog(SETTLE_MULTIMODEL_QUEUE)).depth
    await owner.close()

    assert depth == 4


async def test_a_broker_is_used_again_after_its_outage(gateway: Gateway, broker_url: str) -> None:
    broker = Broker(broker_url, timeout_seconds=5)
    await broker.publish(SETTLE_MULTIMODEL_QUEUE, b"{}")
    connection = (await broker._lines.get())._connection
    assert connection is not None
    await connection.close()

    published = 0
    for _ in range(3):
        try:
            await broker.publish(SETTLE_MULTIMODEL_QUEUE, b"{}")
            published += 1
        except UnavailableError:
            pass
    await broker.aclose()
    assert published >= 2


async def test_each_loop_publishes_on_a_connection_of_its_own(gateway: Gateway, broker_url: str) -> None:
    client = CreditsClient("http://nowhere.invalid", KEY, broker_url=broker_url)

    def settle(key: str) -> str | None:
        sent = client.settle_via_queue("ai_chat_v1", user_id="ada", usage_key=key, usages=[GPT])
        return asyncio.run(sent).by

    assert [await asyncio.to_thread(settle, key) for key in ("a", "b")] == ["broker", "broker"]
    assert client._delivery._broker is not None
    assert client._delivery._broker._lines._opened == {}


async def test_the_sync_client_publishes_too(gateway: Gateway, broker_url: str) -> None:
    def settle() -> UseResult:
        with SyncCreditsClient("http://nowhere.invalid", KEY, broker_url=broker_url) as credits:
            return credits.settle_via_queue("ai_chat_v1", user_id="ada", usage_key="k", usages=[GPT])

    assert (await asyncio.to_thread(settle)).by == "broker"
    assert await _balance(gateway, "9.58") == Decimal("9.58")
