"""Settlement from RabbitMQ: each message is settled once, from any publisher and beside any other message."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiormq
import pytest

from faregate.core.errors import EngineUnavailableError
from faregate.core.messaging.interfaces import ITransport, OutgoingMessage
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.core.messaging.rabbitmq.transport import RabbitTransport
from faregate.core.settings import Settings
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE as QUEUE
from support.apps import Gateway, open_gateway, running_worker, settings_for
from support.foreign import long_text, publish_raw, short_text, table, time
from support.rabbitmq import RabbitServer, publish_nameless

LINE = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
COST = Decimal("0.42")


@pytest.fixture
def settings(database_url: str, broker_url: str) -> Settings:
    return settings_for(database_url, broker_url=broker_url)


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    async with open_gateway(settings) as gateway:
        await gateway.feature("chat", min_credits=1)
        await gateway.grant("ada", 100)
        yield gateway


@pytest.fixture
async def transport(broker_url: str) -> AsyncIterator[RabbitTransport]:
    transport = RabbitTransport(broker_url)
    await transport.open()
    yield transport
    await transport.close()


def _body(key: str | None = None, **more: Any) -> bytes:
    named = {"usage_key": key} if key else {}
    return exact_json.dumps({"user_id": "ada", "feature_endpoint_id": "chat", "usages": [LINE], **named, **more})


async def _spent(gateway: Gateway) -> Decimal:
    return Decimal(100 - (await gateway.get("/api/wallets/ada")).data["balance"])


async def _until_spent(gateway: Gateway, credits: Decimal, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while await _spent(gateway) < credits:
            await asyncio.sleep(0.05)


async def _reasons(transport: RabbitTransport, count: int) -> list[str]:
    reasons: list[str] = []
    async with asyncio.timeout(20):
        while len(reasons) < count:
            await asyncio.sleep(0.1)
            reasons = [letter.reason async for letter in transport.dead_letters()]
    return reasons


async def _publish_until_stored(transport: ITransport, messages: list[OutgoingMessage]) -> None:
    """Publish again until the message is known to be stored, as every publisher must."""
    async with asyncio.timeout(40):
        while True:
            try:
                return await transport.publish(QUEUE, messages)
            except EngineUnavailableError:
                await asyncio.sleep(0.5)


async def test_invalid_messages_become_dead_letters_and_the_others_settle(
    gateway: Gateway, transport: RabbitTransport, settings: Settings
) -> None:
    poison = [b"not json", b"\xff\xfe", b"5", _body("x", usages="many"), _body("x", feature_endpoint_id="unheard-of")]
    bodies = [body for number, bad in enumerate(poison) for body in (_body(f"good-{number}"), bad)]
    await transport.publish(QUEUE, [OutgoingMessage(body) for body in bodies])
    async with running_worker(settings):
        await _until_spent(gateway, len(poison) * COST)
        reasons = await _reasons(transport, len(poison))

    codes = [reason.partition(":")[0] for reason in reasons]
    assert codes == ["malformed", "malformed", "malformed", "invalid", "unknown_feature"]
    assert await _spent(gateway) == len(poison) * COST


async def test_without_any_key_only_the_first_delivery_is_charged(
    gateway: Gateway, transport: RabbitTransport, settings: Settings, broker_url: str
) -> None:
    """It is unknown whether a lost delivery was charged, so a person decides."""
    await publish_nameless(broker_url, QUEUE, _body())
    consumer = await transport.consume(QUEUE)
    assert len(await consumer.take(1, wait_seconds=5)) == 1
    await consumer.close()
    await publish_nameless(broker_url, QUEUE, _body(duration=7))
    async with running_worker(settings):
        await _until_spent(gateway, COST)
        (reason,) = await _reasons(transport, 1)

    assert "redelivered" in reason
    assert await _spent(gateway) == COST


async def test_a_keyless_message_is_charged_once_by_its_message_id(
    gateway: Gateway, settings: Settings, broker_url: str
) -> None:
    connection = await aiormq.connect(broker_url)
    channel = await connection.channel()
    for _ in range(3):
        properties = aiormq.spec.Basic.Properties(message_id="theirs", delivery_mode=2)
        await channel.basic_publish(_body(), routing_key=QUEUE, properties=properties)
    await channel.basic_publish(_body("last"), routing_key=QUEUE)
    await connection.close()
    async with running_worker(settings):
        await _until_spent(gateway, 2 * COST)

    assert await _spent(gateway) == 2 * COST


async def test_outbox_messages_are_relayed_once_by_id(
    gateway: Gateway, transport: RabbitTransport, settings: Settings
) -> None:
    """Written in a transaction, or stored before a broker was configured; also if it is relayed twice."""
    outbox = PostgresTransport(gateway.database)
    await outbox.publish(QUEUE, [OutgoingMessage(_body("keyed")), OutgoingMessage(_body())])
    copies = await outbox.consume(QUEUE)
    (_, keyless) = await copies.take(2, wait_seconds=2)
    await copies.close()
    await transport.publish(QUEUE, [OutgoingMessage(keyless.body, {"x-message-id": keyless.message_id})])
    async with running_worker(settings):
        await _until_spent(gateway, 2 * COST)
        async with asyncio.timeout(10):
            while (await outbox.backlog(QUEUE)).depth or (await transport.backlog(QUEUE)).depth:
                await asyncio.sleep(0.05)
    await outbox.close()

    assert await _spent(gateway) == 2 * COST


async def test_a_worker_continues_after_a_restart_of_its_broker(
    database_url: str, fragile_rabbitmq: RabbitServer
) -> None:
    settings = settings_for(database_url, broker_url=fragile_rabbitmq.url)
    async with open_gateway(settings) as gateway, running_worker(settings):
        await gateway.feature("chat", min_credits=1)
        await gateway.grant("ada", 100)
        transport = gateway.container.transport()
        await transport.publish(QUEUE, [OutgoingMessage(_body(f"before-{n}")) for n in range(50)])
        await asyncio.to_thread(fragile_rabbitmq.stop)
        await asyncio.to_thread(fragile_rabbitmq.start)
        await _publish_until_stored(transport, [OutgoingMessage(_body(f"after-{n}")) for n in range(50)])
        await _until_spent(gateway, 100 * COST, seconds=60)

        assert await _spent(gateway) == 100 * COST


async def test_an_asynchronous_end_call_is_published_to_the_broker(
    gateway: Gateway, transport: RabbitTransport
) -> None:
    answer = await gateway.end("ada", "chat", usage_key="k", usages=[LINE], headers={"prefer": "respond-async"})

    assert answer.status == 202
    assert (await transport.backlog(QUEUE)).depth == 1


async def test_foreign_messages_settle_or_are_dead_letters_with_the_reason(
    gateway: Gateway, transport: RabbitTransport, settings: Settings, broker_url: str
) -> None:
    """Wrong properties charge nothing; a message whose API key header cannot be read is never settled without the key."""
    settle: dict[bytes, dict[str, bytes]] = {
        b"content-type": {"content_type": short_text(b"text/xml")},
        b"time": {"timestamp": time(2**64 - 1)},
        b"id": {"message_id": short_text(b"\xff\xfe")},
        b"answer": {"reply_to": short_text(b"\xff"), "priority": b"\xff"},
    }
    spenders = [
        b"I\0\0\0\1",
        b"F" + table(),
        b"S" + long_text(b"\xff"),
        b"S" + long_text(b""),
        b"S" + long_text(b"a\0b"),
    ]
    refuse = [
        *((_body(f"spender-{n}"), {"headers": table((b"spender", value))}) for n, value in enumerate(spenders)),
        (_body("name"), {"headers": table((b"\xff", b"V"))}),
        (gzip.compress(_body("zipped")), {"content_encoding": short_text(b"gzip")}),
    ]
    good = [(_body(name.decode()), properties) for name, properties in settle.items()]
    await publish_raw(broker_url, QUEUE, [*refuse, *good])
    async with running_worker(settings):
        await _until_spent(gateway, len(good) * COST)
        reasons = await _reasons(transport, len(refuse))

    assert await _spent(gateway) == len(good) * COST
    assert sorted(reason.partition(":")[0] for reason in reasons) == [
        *["invalid"] * len(spenders),
        "malformed",
        "unreadable",
    ]
    assert sum("compressed with gzip" in reason for reason in reasons) == 1
    assert sum("header spender must be" in reason for reason in reasons) == len(spenders)
