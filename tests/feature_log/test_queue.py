"""Feature logs by queue: Method A."""

import asyncio
from typing import Any

import pytest

from faregate.core.messaging.interfaces import DeadMessage, ITransport, OutgoingMessage
from faregate.wire import exact_json
from faregate.wire.queues import FEATURE_LOG_QUEUE, SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE
from support.apps import Gateway, running_worker, settings_for

PATH = "/api/feature-usage-logs"


def body(**more: Any) -> dict[str, Any]:
    return {
        "feature_endpoint_value": "ai_chat_v1",
        "user_id": "ada",
        "method": "POST",
        "code": 201,
        "status": "success",
        **more,
    }


@pytest.fixture
def transport(gateway: Gateway) -> ITransport:
    return gateway.container.transport()


async def publish(transport: ITransport, *bodies: Any) -> None:
    messages = [OutgoingMessage(item if isinstance(item, bytes) else exact_json.dumps(item)) for item in bodies]
    await transport.publish(FEATURE_LOG_QUEUE, messages)


async def drain(transport: ITransport, database_url: str) -> list[DeadMessage]:
    async with running_worker(settings_for(database_url)):
        while (await transport.backlog(FEATURE_LOG_QUEUE)).depth:
            await asyncio.sleep(0.05)
    return [letter async for letter in transport.dead_letters()]


async def test_single_batched_and_repeated_messages_become_logs(
    gateway: Gateway, transport: ITransport, database_url: str
) -> None:
    await publish(transport, body(id="a"), [body(id=f"b{n}") for n in range(100)], body(id="a"), body(id="b7"))

    assert await drain(transport, database_url) == []
    assert len((await gateway.get(f"{PATH}?limit=1000")).data) == 101


async def test_invalid_items_are_dead_lettered_redacted_and_the_others_are_stored(
    gateway: Gateway, transport: ITransport, database_url: str
) -> None:
    secret = "hunter2-canary"
    await publish(
        transport,
        [body(id="a"), body(code=700, payload={"password": secret}), body(id="b")],
        body(id="c"),
        f'{{"password": "{secret}", broken'.encode(),
        b"5",
    )
    dead = await drain(transport, database_url)

    assert len((await gateway.get(PATH)).data) == 3
    assert {letter.reason.partition(":")[0] for letter in dead} == {"invalid", "malformed"}
    assert [letter for letter in dead if secret.encode() in letter.body or secret in letter.reason] == []
    (invalid,) = [letter for letter in dead if letter.reason.startswith("invalid")]
    assert "code" in invalid.reason
    assert exact_json.loads(invalid.body)["payload"] == {"password": "[redacted]"}


async def test_a_backlog_of_logs_does_not_delay_the_expiry_of_holds(gateway: Gateway, database_url: str) -> None:
    """Only settlements determine the progress of settlement."""
    async with running_worker(settings_for(database_url)) as container:
        settling = [consumer.queue for consumer in container.consumers() if consumer.settles]

    assert FEATURE_LOG_QUEUE not in settling
    assert set(settling) == {SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE}
