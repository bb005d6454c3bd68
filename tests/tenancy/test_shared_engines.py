"""RabbitMQ and Redis of a process are shared by its tenants: connections do not grow with them, and nothing else is shared."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from faregate.core.clock import SystemClock
from faregate.core.errors import BrokerUnavailableError
from faregate.core.messaging.interfaces import Ack, DeadLetter, IConsumer, OutgoingMessage, RetryLater
from faregate.core.messaging.rabbitmq.names import QueueNames
from faregate.core.messaging.rabbitmq.nodes import Nodes
from faregate.core.messaging.rabbitmq.shared_connections import SharedConnections
from faregate.core.messaging.rabbitmq.transport import RabbitTransport
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE
from support.redis import redis_server
from support.tenancy import Front, deployment_settings, open_front, until

KEYS = ("one", "two", "three")
QUEUE = SETTLE_MULTIMODEL_QUEUE


@pytest.fixture
async def shared(broker_url: str) -> AsyncIterator[SharedConnections]:
    connections = SharedConnections(Nodes(broker_url, SystemClock()))
    yield connections
    await connections.close()


@pytest.fixture
async def transports(broker_url: str, shared: SharedConnections) -> AsyncIterator[dict[str, RabbitTransport]]:
    """A transport for each of three tenants, on the same connections."""
    made = {
        key: RabbitTransport(broker_url, names=QueueNames.of(key), shared=shared, retry_delays_seconds=(0.1,))
        for key in KEYS
    }
    yield made
    for transport in made.values():
        await transport.remove_queues()
        await transport.close()


def messages(key: str, *, count: int = 3) -> list[OutgoingMessage]:
    return [OutgoingMessage(f"{key}-{number}".encode()) for number in range(count)]


async def taken(consumer: IConsumer, count: int, *, decision: Any = None) -> list[str]:
    """Take and decide messages; return their bodies."""
    found: list[str] = []

    async def all_there() -> bool:
        deliveries = await consumer.take(count, wait_seconds=0.2)
        found.extend(delivery.body.decode() for delivery in deliveries)
        await consumer.decide([(delivery, decision or Ack()) for delivery in deliveries])
        return len(found) >= count

    await until(all_there, seconds=30)
    return found


async def test_each_tenant_gets_its_own_messages_on_connections_that_do_not_grow(
    transports: dict[str, RabbitTransport], shared: SharedConnections
) -> None:
    """Three tenants consume two queues each, publish and ask for depths at once: one connection publishes, one does the rest."""
    consumers = {(key, queue): await transports[key].consume(queue) for key in KEYS for queue in (QUEUE, SETTLE_QUEUE)}
    await asyncio.gather(*(transports[key].publish(QUEUE, messages(key)) for key in KEYS))
    found = dict(zip(KEYS, await asyncio.gather(*(taken(consumers[key, QUEUE], 3) for key in KEYS)), strict=True))
    depths = [(await transports[key].backlog(queue)).depth for key in KEYS for queue in (QUEUE, SETTLE_QUEUE)]

    assert found == {key: [f"{key}-{number}" for number in range(3)] for key in KEYS}
    assert depths == [0] * 6
    assert shared.count == 2


async def test_retries_and_dead_letters_stay_at_their_tenant(transports: dict[str, RabbitTransport]) -> None:
    one, two = [await transports[key].consume(QUEUE) for key in ("one", "two")]
    await transports["one"].publish(QUEUE, messages("one", count=1))
    await transports["two"].publish(QUEUE, messages("two", count=1))
    await taken(one, 1, decision=RetryLater("later"))
    again = await taken(one, 1, decision=DeadLetter("wrong"))
    other = await taken(two, 1)
    dead = {key: [letter.body async for letter in transports[key].dead_letters()] for key in KEYS}

    assert (again, other) == (["one-0"], ["two-0"])
    assert dead == {"one": [b"one-0"], "two": [], "three": []}


async def test_closing_one_tenant_returns_its_messages_and_leaves_the_others_alone(
    transports: dict[str, RabbitTransport], shared: SharedConnections
) -> None:
    """What a closed tenant had not acknowledged is delivered again; the others keep their connection and their messages."""
    one, two = [await transports[key].consume(QUEUE) for key in ("one", "two")]
    for key in ("one", "two"):
        await transports[key].publish(QUEUE, messages(key))
    held = await _first(two)
    await _first(one)
    before = set(map(id, _connections(shared)))
    await one.close()
    await transports["one"].close()
    await two.decide([(delivery, Ack()) for delivery in held])
    await transports["two"].publish(QUEUE, [OutgoingMessage(b"two-more")])

    assert (await taken(two, 4 - len(held)))[-1] == "two-more"
    assert set(map(id, _connections(shared))) == before
    again = await transports["one"].consume(QUEUE)
    assert await taken(again, 3) == [f"one-{number}" for number in range(3)]
    assert shared.count == 2


async def _first(consumer: IConsumer) -> list[Any]:
    found: list[Any] = []

    async def some() -> bool:
        found.extend(await consumer.take(10, wait_seconds=0.2))
        return bool(found)

    await until(some)
    return found


def _connections(shared: SharedConnections) -> list[Any]:
    return [link.connection for kept in shared._connections.values() for link in kept]


async def test_a_lost_connection_is_replaced_for_all_and_loses_nothing(
    transports: dict[str, RabbitTransport], shared: SharedConnections
) -> None:
    consumers = {key: await transports[key].consume(QUEUE) for key in KEYS}
    for key in KEYS:
        await transports[key].publish(QUEUE, messages(key))
    for connection in _connections(shared):
        await connection.close()
    for consumer in consumers.values():
        with pytest.raises(BrokerUnavailableError):
            await consumer.take(1, wait_seconds=1)
    consumers = {key: await transports[key].consume(QUEUE) for key in KEYS}
    for key in KEYS:
        await transports[key].publish(QUEUE, [OutgoingMessage(b"more")])
    found = {key: set(await taken(consumers[key], 4)) for key in KEYS}

    assert found == {key: {*(f"{key}-{number}" for number in range(3)), "more"} for key in KEYS}
    assert shared.count == 2


async def test_a_full_connection_is_followed_by_another(broker_url: str) -> None:
    shared = SharedConnections(Nodes(broker_url, SystemClock()), channels_max=4)
    links = [await shared.open_link("test", confirms=False) for _ in range(7)]
    counted = shared.count
    for link in links[:3]:
        await link.close()
    more = [await shared.open_link("test", confirms=False) for _ in range(3)]
    numbers = [(id(link.connection), link.channel.number) for link in [*links[3:], *more]]
    after = shared.count
    await shared.close()

    assert (counted, after) == (3, 3)
    assert len(set(numbers)) == len(numbers)
    assert max(number for _, number in numbers) <= 5
    assert all(link.lost for link in [*links, *more])


async def test_many_tenants_use_one_set_of_connections_to_redis(deployment_url: str, tmp_path: Path) -> None:
    """Suspending a tenant closes none of them: the others still share their limits and answers."""
    async with redis_server(tmp_path) as redis:
        client: Any = cast("Any", Redis).from_url(redis.url)
        async with open_front(deployment_settings(deployment_url, redis_url=redis.url)) as front:
            await _called(front, "acme")
            one = await _clients(client)
            await _called(front, "beta")
            two = await _clients(client)
            await front.service.suspend("acme")

            async def dropped() -> bool:
                apps = front.container.tenant_apps()
                await apps.look()
                return [held.tenant.key for held in apps.held] == ["beta"]

            await until(dropped)
            await _called(front, "beta")
            suspended = await _clients(client)
            limits = [name for name in await client.keys("*") if b"tenant_beta" in name]
        await client.aclose()

    assert (two, suspended) == (one, one)
    assert limits


async def _called(front: Front, tenant: str) -> None:
    metrics = "/api/analytics/metrics?startDate=2026-01-01&endDate=2030-01-01"
    for _ in range(3):
        assert (await front.call(tenant, "GET", metrics)).status == 200


async def _clients(client: Any) -> int:
    return len(await client.client_list())
