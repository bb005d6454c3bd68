"""The RabbitMQ transport: broker failures, foreign queues and confirmed publishing."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiormq
import pytest
from aiormq.exceptions import ChannelPreconditionFailed
from faults.proxy import Proxy
from structlog.testing import capture_logs

from faregate.core.errors import BrokerUnavailableError, EngineUnavailableError
from faregate.core.messaging.interfaces import (
    Ack,
    Backlog,
    DeadLetter,
    Delivery,
    IConsumer,
    OutgoingMessage,
    RetryLater,
)
from faregate.core.messaging.rabbitmq.topology import DEAD_QUEUE, retry_queue
from faregate.core.messaging.rabbitmq.transport import RabbitTransport
from faregate.wire.queues import PUBLIC_QUEUES
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE as QUEUE
from support.rabbitmq import RabbitServer, publish_nameless, require_rabbitmq

T = TypeVar("T")


@pytest.fixture
async def transport(broker_url: str) -> AsyncIterator[RabbitTransport]:
    async with opened(broker_url) as transport:
        yield transport


@pytest.fixture
async def fragile_transport(fragile_rabbitmq: RabbitServer) -> AsyncIterator[RabbitTransport]:
    async with opened(fragile_rabbitmq.url) as transport:
        yield transport


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[RabbitTransport]:
    transport = RabbitTransport(url, **options)
    await transport.open()
    try:
        yield transport
    finally:
        await transport.close()


@asynccontextmanager
async def consuming(transport: RabbitTransport, queue: str = QUEUE) -> AsyncGenerator[IConsumer]:
    consumer = await transport.consume(queue)
    try:
        yield consumer
    finally:
        await consumer.close()


@asynccontextmanager
async def plain_channel(url: str) -> AsyncGenerator[aiormq.abc.AbstractChannel]:
    """A channel of another client."""
    connection = await aiormq.connect(url)
    try:
        yield await connection.channel()
    finally:
        await connection.close()


def _messages(*bodies: str) -> list[OutgoingMessage]:
    return [OutgoingMessage(body.encode()) for body in bodies]


async def _take(consumer: IConsumer, count: int) -> list[Delivery]:
    taken: list[Delivery] = []
    while len(taken) < count:
        more = await consumer.take(100, wait_seconds=5)
        assert more, f"{len(taken)} of {count} messages came"
        taken += more
    return taken


async def _once_it_answers(ask: Callable[[], Awaitable[T]]) -> T:
    """Repeat while a node that has just started refuses: its quorum queues have no leader yet."""
    async with asyncio.timeout(40):
        while True:
            try:
                return await ask()
            except EngineUnavailableError:
                await asyncio.sleep(0.5)


async def _until_lost(consumer: IConsumer, seconds: float) -> EngineUnavailableError:
    """Take until the consumer raises that its connection is lost."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await consumer.take(10, wait_seconds=1)
            except EngineUnavailableError as error:
                return error


async def test_a_restart_of_the_broker_loses_nothing_that_was_confirmed(
    fragile_rabbitmq: RabbitServer, fragile_transport: RabbitTransport
) -> None:
    """Confirmed messages survive, undecided ones are delivered again, and a connected publisher continues without help."""
    rabbitmq_server, transport = fragile_rabbitmq, fragile_transport
    await transport.publish(QUEUE, _messages(*"abc"))
    first = await transport.consume(QUEUE)
    taken = await _take(first, 3)

    await asyncio.to_thread(rabbitmq_server.stop)
    with pytest.raises(EngineUnavailableError, match="RabbitMQ"):
        await transport.publish(QUEUE, _messages("nobody there"))
    with pytest.raises(EngineUnavailableError, match="connecting to"):
        await transport.consume(QUEUE)
    await _until_lost(first, 5)
    with pytest.raises(EngineUnavailableError):
        await first.decide([(delivery, Ack()) for delivery in taken])
    await first.close()
    await asyncio.to_thread(rabbitmq_server.start)

    await _once_it_answers(lambda: transport.publish(QUEUE, _messages("d")))
    second = await _once_it_answers(lambda: transport.consume(QUEUE))
    again = await _take(second, 4)
    await second.decide([(delivery, Ack()) for delivery in again])
    with pytest.raises(EngineUnavailableError, match="they are delivered again"):
        await second.decide([(taken[0], Ack())])
    await second.close()
    assert {delivery.body for delivery in again} == {b"a", b"b", b"c", b"d"}
    assert (await transport.backlog(QUEUE)).depth == 0


async def test_a_frozen_broker_is_detected(fragile_rabbitmq: RabbitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a heartbeat of 1 s a dead peer is detected within (1 + 1) x 3 s; the default of 10 s takes 33 s."""
    monkeypatch.setattr("faregate.core.messaging.rabbitmq.nodes._CONFIRM_SECONDS", 1)
    rabbitmq_server = fragile_rabbitmq
    async with opened(f"{rabbitmq_server.url}?heartbeat=1") as transport:
        await transport.publish(QUEUE, _messages("a"))
        consumer = await transport.consume(QUEUE)
        await _take(consumer, 1)
        rabbitmq_server.freeze()
        try:
            with pytest.raises(EngineUnavailableError, match="not confirmed"):
                await transport.publish(QUEUE, _messages("b"))
            await _until_lost(consumer, 9)
            await consumer.close()
        finally:
            rabbitmq_server.thaw()
        await transport.publish(QUEUE, _messages("c"))
        async with consuming(transport) as another:
            bodies = {delivery.body for delivery in await _take(another, 2)}

    assert {b"a", b"c"} <= bodies <= {b"a", b"b", b"c"}


async def test_a_cancelled_consumer_raises_and_the_next_one_has_a_queue(
    broker_url: str, transport: RabbitTransport
) -> None:
    """The broker cancels consumers when a queue is deleted or its leader moves; the channel stays open, without an error."""
    async with consuming(transport) as consumer:
        async with plain_channel(broker_url) as channel:
            await channel.queue_delete(QUEUE)
        error = await _until_lost(consumer, 5)
    assert "cancelled" in error.detail

    async with consuming(transport) as another:
        await transport.publish(QUEUE, _messages("after"))
        assert [delivery.body for delivery in await _take(another, 1)] == [b"after"]


async def test_a_publisher_creates_a_missing_queue(broker_url: str, transport: RabbitTransport) -> None:
    async with plain_channel(broker_url) as channel:
        for queue in PUBLIC_QUEUES:
            await channel.queue_delete(queue)
    await transport.publish(QUEUE, _messages("kept"))

    assert (await transport.backlog(QUEUE)).depth == 1
    assert [(await transport.backlog(queue)).depth for queue in PUBLIC_QUEUES] == [1, 0, 0, 0]


async def test_an_unroutable_message_raises_and_the_others_are_stored(transport: RabbitTransport) -> None:
    """Without `mandatory` the broker confirms and drops it; with one message id for two messages, their outcomes are mixed up."""
    good = [transport.publish(QUEUE, _messages(str(number))) for number in range(20)]
    lost = [transport.publish("no_such_queue", _messages("lost")) for _ in range(5)]
    outcomes = await asyncio.gather(*good, *lost, return_exceptions=True)

    assert outcomes[:20] == [None] * 20
    assert [type(outcome) for outcome in outcomes[20:]] == [BrokerUnavailableError] * 5
    assert "no such queue" in str(outcomes[-1])
    assert (await transport.backlog(QUEUE)).depth == 20


async def test_the_queues_exist_before_the_first_publish(broker_url: str, transport: RabbitTransport) -> None:
    """Quorum queues, four delays, and a dead letter queue with at-least-once dead-lettering by the broker."""
    safe: dict[str, Any] = {
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-dead-letter-exchange": "",
    }
    async with plain_channel(broker_url) as channel:
        for queue in PUBLIC_QUEUES:
            arguments: dict[str, Any] = {
                "x-queue-type": "quorum",
                "x-delivery-limit": 200,
                "x-dead-letter-routing-key": DEAD_QUEUE,
            }
            await channel.queue_declare(queue, durable=True, arguments={**arguments, **safe})
        for seconds in (5, 30, 300, 3600):
            arguments = {"x-queue-type": "quorum", "x-message-ttl": seconds * 1000, **safe}
            await channel.queue_declare(retry_queue(seconds), durable=True, arguments=arguments)


async def test_the_classic_type_is_what_a_plain_durable_assertion_expects(broker_url: str) -> None:
    async with opened(broker_url, queue_type="classic") as transport, plain_channel(broker_url) as channel:
        for queue in PUBLIC_QUEUES:
            await channel.queue_declare(queue, durable=True)
        assert (await transport.backlog(QUEUE)).depth == 0


async def test_an_existing_queue_with_other_arguments_is_used_and_logged(broker_url: str) -> None:
    async with plain_channel(broker_url) as channel:
        await channel.queue_declare(QUEUE, durable=True, arguments={"x-max-priority": 3})
        await channel.basic_publish(b"theirs", routing_key=QUEUE)

    with capture_logs() as logs:
        async with opened(broker_url) as transport, consuming(transport) as consumer:
            await transport.publish(QUEUE, _messages("ours"))
            bodies = [delivery.body for delivery in await _take(consumer, 2)]

    told = [entry for entry in logs if entry["event"] == "queue_differs"]
    assert bodies == [b"theirs", b"ours"]
    assert [entry["queue"] for entry in told] == [QUEUE], "once per process, not per connection"
    assert "inequivalent arg" in told[0]["reason"]
    assert "FAREGATE_QUEUE_TYPE=classic" in told[0]["advice"]
    async with plain_channel(broker_url) as channel:
        with pytest.raises(ChannelPreconditionFailed):
            await channel.queue_declare(QUEUE, durable=True)


async def test_an_acknowledgement_never_covers_what_is_undecided(transport: RabbitTransport) -> None:
    await transport.publish(QUEUE, _messages(*"abcde"))
    async with consuming(transport) as consumer:
        a, b, _c, d, _e = await _take(consumer, 5)
        await consumer.decide([(b, Ack()), (a, Ack()), (d, Ack())])

    async with consuming(transport) as another:
        again = await _take(another, 2)
    assert [(delivery.body, delivery.redelivered, delivery.attempt) for delivery in again] == [
        (b"c", True, 1),
        (b"e", True, 1),
    ]


async def test_a_message_of_another_publisher_needs_only_a_body(broker_url: str, transport: RabbitTransport) -> None:
    await publish_nameless(broker_url, QUEUE, b"plain")
    async with consuming(transport) as consumer:
        (delivery,) = await _take(consumer, 1)

    assert (delivery.body, delivery.message_id, delivery.published_at) == (b"plain", None, None)
    assert (delivery.attempt, delivery.redelivered, delivery.headers) == (1, False, {})


@pytest.mark.parametrize("headers", [{"x-attempt": "many"}, {"x-attempt": -1}, {"x-attempt": True}])
async def test_invalid_values_in_our_headers_are_ignored(
    broker_url: str, transport: RabbitTransport, headers: dict[str, Any]
) -> None:
    async with plain_channel(broker_url) as channel:
        properties = aiormq.spec.Basic.Properties(headers=headers)
        await channel.basic_publish(b"x", routing_key=QUEUE, properties=properties)
    async with consuming(transport) as consumer:
        (delivery,) = await _take(consumer, 1)

    assert delivery.attempt == 1


async def test_a_message_keeps_its_id_through_retry_dead_letter_and_replay(broker_url: str) -> None:
    """A message without a usage key is charged once by that id."""
    async with opened(broker_url, retry_delays_seconds=(0.2,)) as transport, consuming(transport) as consumer:
        await publish_nameless(broker_url, QUEUE, b"x")
        names: list[str | None] = []
        decisions: Sequence[Any] = (RetryLater("busy"), DeadLetter("no"), Ack())
        for decision in decisions:
            (delivery,) = await _take(consumer, 1)
            names.append(delivery.message_id)
            await consumer.decide([(delivery, decision)])
            letters = [letter async for letter in transport.dead_letters()]
            await transport.replay([letter.id for letter in letters])

    assert names[0] is None
    assert names[1] is not None
    assert names[1] == names[2]


async def test_the_broker_dead_letters_a_message_that_kills_its_consumers(
    broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faregate.core.messaging.rabbitmq.topology.DELIVERY_LIMIT", 2)
    async with opened(broker_url) as transport:
        await transport.publish(QUEUE, _messages("killer"))
        for _ in range(3):
            async with consuming(transport) as consumer:
                await _take(consumer, 1)
        letters: list[Any] = []
        async with asyncio.timeout(10):
            while not letters:
                letters = [letter async for letter in transport.dead_letters(queue=QUEUE)]

        assert letters[0].reason == "delivered too often without a decision"
        assert abs(letters[0].dead_at - datetime.now(UTC)) < timedelta(minutes=1)
        assert await transport.replay([letters[0].id]) == 1
        assert (await transport.backlog(QUEUE)).depth == 1


async def test_reading_dead_letters_keeps_them_in_order(transport: RabbitTransport) -> None:
    async with consuming(transport) as consumer:
        await transport.publish(QUEUE, _messages(*"abcde"))
        await consumer.decide(
            [(delivery, DeadLetter(f"no {delivery.body!r}")) for delivery in await _take(consumer, 5)]
        )

    first = [letter async for letter in transport.dead_letters()]
    second = [letter async for letter in transport.dead_letters()]
    assert [letter.body for letter in first] == [b"a", b"b", b"c", b"d", b"e"]
    assert first == second
    assert [letter async for letter in transport.dead_letters(queue="another")] == []


async def test_the_age_of_a_backlog_is_an_upper_bound(broker_url: str, transport: RabbitTransport) -> None:
    """RabbitMQ does not report it. The age of held messages is known; waiting ones are younger than those before them."""
    await transport.publish(QUEUE, _messages("before"))
    async with opened(broker_url) as fresh:
        assert await fresh.backlog(QUEUE) == Backlog(1, None), "nothing is known of its past"

        async with consuming(fresh) as consumer:
            (delivery,) = await _take(consumer, 1)
            held = await fresh.backlog(QUEUE)
            await consumer.decide([(delivery, Ack())])
        assert held == Backlog(1, delivery.published_at)

        assert await fresh.backlog(QUEUE) == Backlog(0, None)
        empty_at = datetime.now(UTC)
        await transport.publish(QUEUE, _messages("after"))
        waiting = await fresh.backlog(QUEUE)
        assert waiting.depth == 1
        assert waiting.oldest_at is not None
        assert waiting.oldest_at <= empty_at


async def test_a_thousand_at_once_are_confirmed(transport: RabbitTransport) -> None:
    await transport.publish(QUEUE, _messages(*map(str, range(1000))))

    assert (await transport.backlog(QUEUE)).depth == 1000


async def test_a_refused_login_is_reported(broker_url: str) -> None:
    wrong = broker_url.replace("guest:guest", "guest:secret")
    with pytest.raises(EngineUnavailableError, match="connecting to") as caught:
        await RabbitTransport(wrong).open()

    assert "secret" not in caught.value.detail


async def test_consumers_publisher_and_queries_have_separate_connections(broker_url: str) -> None:
    """A broker that is short of memory stops reading from publishing connections; acknowledgements must still pass."""
    parts = urlsplit(broker_url)
    proxy = Proxy(lambda: asyncio.open_connection(parts.hostname, parts.port))
    await proxy.listen()
    url = parts._replace(netloc=f"guest:guest@127.0.0.1:{proxy.port}").geturl()
    opened_connections: list[int] = []
    try:
        async with opened(url) as transport:
            opened_connections.append(proxy.accepted)
            async with consuming(transport), consuming(transport, PUBLIC_QUEUES[1]):
                opened_connections.append(proxy.accepted)
                await transport.publish(QUEUE, _messages("a"))
                await transport.backlog(QUEUE)
                opened_connections.append(proxy.accepted)
    finally:
        await proxy.close()

    assert opened_connections == [1, 3, 4]


async def test_a_tls_broker_is_accepted_if_its_certificate_is_trusted() -> None:
    require_rabbitmq()
    server = RabbitServer(tls=True)
    try:
        server.start()
        async with opened(server.url) as transport, consuming(transport) as consumer:
            await transport.publish(QUEUE, _messages("behind TLS"))
            assert [delivery.body for delivery in await _take(consumer, 1)] == [b"behind TLS"]
        with pytest.raises(EngineUnavailableError, match=r"(?i)certificate"):
            async with opened(server.url.partition("?")[0]):
                pass
    finally:
        server.remove()
