"""Several RabbitMQ nodes: one that cannot be used is passed over, and what is lost with its connection is delivered again."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiormq
import pytest
from aiormq.connection import TCPTransportFactory
from faults.proxy import Proxy
from pytest_mock import MockerFixture

from faregate.core.clock import FixedClock
from faregate.core.errors import BrokerUnavailableError, EngineUnavailableError
from faregate.core.messaging.interfaces import Ack, OutgoingMessage
from faregate.core.messaging.rabbitmq import nodes, topology
from faregate.core.messaging.rabbitmq.connection import Link
from faregate.core.messaging.rabbitmq.names import QueueNames
from faregate.core.messaging.rabbitmq.nodes import Nodes
from faregate.core.messaging.rabbitmq.topology import Topology
from faregate.core.messaging.rabbitmq.transport import RabbitTransport
from faregate.wire.broker_addresses import broker_addresses
from faregate.wire.queues import PUBLIC_QUEUES, RETRY_DELAYS_SECONDS
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE as QUEUE

DEAD = "amqp://guest:guest@127.0.0.1:1/"


@pytest.fixture
async def proxies(broker_url: str) -> AsyncIterator[list[Proxy]]:
    """Two ways to the broker, as to two nodes of a cluster."""
    port = urlsplit(broker_url).port
    proxies = [Proxy(lambda: asyncio.open_connection("127.0.0.1", port)) for _ in range(2)]
    for proxy in proxies:
        await proxy.listen()
    yield proxies
    for proxy in proxies:
        await proxy.close()


def _urls(*proxies: Proxy) -> str:
    return ", ".join(f"amqp://guest:guest@127.0.0.1:{proxy.port}/" for proxy in proxies)


async def test_nodes_that_refuse_or_do_not_answer_are_passed_over(
    broker_url: str, proxies: list[Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "_CONNECT_SECONDS_OF_SEVERAL", 1)
    frozen = proxies[0]
    frozen.freeze()
    transport = RabbitTransport(f"{DEAD},{_urls(frozen)},{broker_url}")
    await transport.open()
    try:
        await transport.publish(QUEUE, [OutgoingMessage(b"1")])
        consumer = await transport.consume(QUEUE)
        taken = await consumer.take(1, wait_seconds=10)
        await consumer.decide([(delivery, Ack()) for delivery in taken])
        await consumer.close()
    finally:
        await transport.close()

    assert [delivery.body for delivery in taken] == [b"1"]


async def test_after_the_loss_of_its_node_a_consumer_gets_its_messages_from_another(proxies: list[Proxy]) -> None:
    transport = RabbitTransport(_urls(*proxies))
    await transport.open()
    try:
        await transport.publish(QUEUE, [OutgoingMessage(b"1")])
        consumer = await transport.consume(QUEUE)
        assert await consumer.take(1, wait_seconds=10)
        for proxy in proxies:
            proxy.cut()
        proxies[0].refuse()
        with pytest.raises(EngineUnavailableError):
            await consumer.take(1, wait_seconds=10)
        await consumer.close()
        consumer = await transport.consume(QUEUE)
        again = await consumer.take(1, wait_seconds=10)
        await transport.publish(QUEUE, [OutgoingMessage(b"2")])
        await consumer.close()
    finally:
        await transport.close()

    assert [(delivery.body, delivery.redelivered) for delivery in again] == [(b"1", True)]


async def test_what_a_node_refuses_twice_is_published_on_a_new_connection(
    broker_url: str, proxies: list[Proxy]
) -> None:
    """RabbitMQ 3.10 refuses on a channel whose first message found the leader of the queue dead, until that one is back."""
    full: dict[str, Any] = {"x-max-length": 1, "x-overflow": "reject-publish"}
    connection = await aiormq.connect(broker_url)
    await (await connection.channel()).queue_declare(QUEUE, durable=True, arguments=full)
    await connection.close()
    transport = RabbitTransport(_urls(proxies[0]))
    await transport.open()
    try:
        await transport.publish(QUEUE, [OutgoingMessage(b"1")])
        before = proxies[0].accepted
        with pytest.raises(BrokerUnavailableError, match="the broker refused"):
            await transport.publish(QUEUE, [OutgoingMessage(b"2")])
    finally:
        await transport.close()

    assert (before, proxies[0].accepted) == (1, 2)


async def test_what_a_node_does_not_confirm_is_with_another_one_within_ten_seconds(proxies: list[Proxy]) -> None:
    """A node that is cut off from the leader of the queue, or frozen, confirms nothing, and its connection stays open."""
    transport = RabbitTransport(_urls(*proxies))
    await transport.open()
    try:
        for proxy in proxies:
            if proxy.accepted:
                proxy.freeze()
        began = time.monotonic()
        with pytest.raises(BrokerUnavailableError, match="not confirmed within 5 s"):
            await transport.publish(QUEUE, [OutgoingMessage(b"1")])
        await transport.publish(QUEUE, [OutgoingMessage(b"1")])
        seconds = time.monotonic() - began
    finally:
        await transport.close()

    assert seconds < 10


async def test_all_queues_are_checked_at_the_same_time(broker_url: str, mocker: MockerFixture) -> None:
    """A cluster answers late for each queue whose leader is cut off."""
    names = QueueNames()
    queues = 1 + len(PUBLIC_QUEUES) + len(RETRY_DELAYS_SECONDS)
    together = asyncio.Barrier(queues)

    async def exists(_connection: aiormq.Connection, _name: str) -> bool:
        async with asyncio.timeout(5):
            await together.wait()
        return True

    mocker.patch.object(topology, "_exists", exists)
    link = await Nodes(broker_url, FixedClock(datetime(2026, 11, 29, tzinfo=UTC))).open_link("a test", confirms=False)
    try:
        await Topology("quorum", RETRY_DELAYS_SECONDS, names).establish(link.connection)
    finally:
        await link.close()

    assert together.n_waiting == 0


@pytest.mark.skipif(sys.platform != "linux", reason="an option of Linux")
async def test_a_node_that_was_unplugged_is_left_after_ten_seconds(broker_url: str, mocker: MockerFixture) -> None:
    """The kernel gives up what its machine does not acknowledge; heartbeats alone take 18 seconds."""
    opened = mocker.spy(TCPTransportFactory, "create")
    link = await Nodes(broker_url, FixedClock(datetime(2026, 11, 29, tzinfo=UTC))).open_link("a test", confirms=False)
    _, writer = opened.spy_return
    milliseconds = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    await link.close()

    assert milliseconds == 10_000


async def test_the_error_names_each_node_and_no_password() -> None:
    transport = RabbitTransport(f"amqp://me:hunter2@127.0.0.1:1/,{DEAD.replace('127.0.0.1', 'localhost')}")

    with pytest.raises(
        BrokerUnavailableError, match=r"connecting to (127\.0\.0\.1|localhost).*; RabbitMQ: connect"
    ) as wrong:
        await transport.open()
    assert "hunter2" not in wrong.value.detail


async def test_a_node_that_failed_is_tried_last_for_a_while(mocker: MockerFixture) -> None:
    clock, tried = FixedClock(datetime(2026, 11, 29, tzinfo=UTC)), list[str]()
    working = mocker.create_autospec(Link, instance=True)

    async def connect(url: str, _name: str, *, confirms: bool, timeout_seconds: float) -> Link:
        tried.append(url)
        if url == "amqp://bad" and (confirms or timeout_seconds):
            raise BrokerUnavailableError("RabbitMQ: it is away")
        return working

    mocker.patch.object(nodes, "open_link", connect)
    found = Nodes("amqp://bad,amqp://good", clock)
    while "amqp://bad" not in tried:
        await found.open_link("a test", confirms=True)
    tried.clear()
    for _ in range(40):
        await found.open_link("a test", confirms=True)
    assert tried == ["amqp://good"] * 40

    clock.advance(seconds=16)
    while "amqp://bad" not in tried:
        await found.open_link("a test", confirms=True)


@pytest.mark.parametrize(
    ("urls", "parts"),
    [
        ("amqp://a", ("amqp://a",)),
        (" amqp://a/x,amqps://b:5671 ,\n amqp://c", ("amqp://a/x", "amqps://b:5671", "amqp://c")),
        ("amqp://me:a,b@a/v,w,amqp://b", ("amqp://me:a,b@a/v,w", "amqp://b")),
    ],
)
def test_a_comma_separates_addresses_only_before_another_one(urls: str, parts: tuple[str, ...]) -> None:
    assert broker_addresses(urls) == parts
