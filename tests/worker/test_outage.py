"""PostgreSQL becomes unavailable while a worker on RabbitMQ holds messages: it keeps them and settles them later."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

import pytest
from faults.proxy import before_postgres

from faregate.core.messaging.interfaces import Delivery, OutgoingMessage
from faregate.core.messaging.rabbitmq.consumer import RabbitConsumer
from faregate.credit.proof.verify import Verifier
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE as QUEUE
from faregate.worker.container import WorkerContainer
from support.apps import open_gateway, running_worker, settings_for
from support.locks import until_waiting, wallets_locked

MESSAGES, BATCH = 100, 50
COST = Decimal("0.42")


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Delivery]:
    """Every message that a consumer fetched."""
    found, take = list[Delivery](), RabbitConsumer.take

    async def noting(self: RabbitConsumer, limit: int, *, wait_seconds: float) -> Sequence[Delivery]:
        deliveries = await take(self, limit, wait_seconds=wait_seconds)
        found.extend(deliveries)
        return deliveries

    monkeypatch.setattr(RabbitConsumer, "take", noting)
    return found


async def _until(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await look():
            await asyncio.sleep(0.05)


async def _counted(worker: WorkerContainer, sample: str) -> float:
    text = (await worker.metrics().text()).decode()
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0


def _body(number: int) -> bytes:
    line = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
    return exact_json.dumps(
        {"user_id": "ada", "feature_endpoint_id": "chat", "usage_key": f"use-{number}", "usages": [line]}
    )


async def test_messages_held_while_postgresql_is_unavailable_are_settled_once_on_the_first_attempt(
    database_url: str, broker_url: str, taken: list[Delivery]
) -> None:
    """The outage uses up no delivery: no message is returned to the queue, delivered again or moved to the dead letters."""
    interruptions = f'faregate_interruptions_total{{queue="{QUEUE}"}}'
    acknowledged = f'faregate_messages_total{{decision="acknowledged",queue="{QUEUE}"}}'
    direct = settings_for(database_url, broker_url=broker_url)
    async with before_postgres(database_url) as (proxy, beyond), open_gateway(direct) as gateway:
        await gateway.feature("chat", min_credits=1)
        await gateway.grant("ada", 100)
        transport = gateway.container.transport()
        await transport.publish(QUEUE, [OutgoingMessage(_body(number)) for number in range(MESSAGES)])
        through = {"broker_url": broker_url, "settle_batch_size": BATCH, "db_lock_timeout_seconds": 60}
        async with running_worker(settings_for(beyond, **through)) as worker:

            async def tried_again_and_again() -> bool:
                return await _counted(worker, interruptions) >= 3

            async def has_let_go() -> bool:
                return await _counted(worker, acknowledged) == MESSAGES

            async with wallets_locked(database_url):  # the batch stops at their locks
                await until_waiting(gateway.database)
                proxy.refuse()
            await _until(tried_again_and_again)
            meanwhile = (await transport.backlog(QUEUE)).depth, (await gateway.get("/api/wallets/ada")).data["balance"]
            proxy.admit()
            await _until(has_let_go)

        assert meanwhile == (0, 100)
        assert (await gateway.get("/api/wallets/ada")).data["balance"] == 100 - MESSAGES * COST
        assert [letter async for letter in transport.dead_letters()] == []
        assert (await Verifier(gateway.database).verify()).drifts == ()
    assert sorted(delivery.body for delivery in taken) == sorted(_body(number) for number in range(MESSAGES))
    assert {(delivery.attempt, delivery.redelivered) for delivery in taken} == {(1, False)}
