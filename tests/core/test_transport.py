"""Guarantees of every transport; each test runs on all of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from faregate.core.messaging.interfaces import (
    Ack,
    DeadLetter,
    Delivery,
    IConsumer,
    ITransport,
    OutgoingMessage,
    RetryLater,
)
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.core.messaging.rabbitmq.topology import QueueType
from faregate.core.messaging.rabbitmq.transport import RabbitTransport
from faregate.wire.queues import RETRY_DELAYS_SECONDS
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE as QUEUE
from faregate.wire.queues import SETTLE_QUEUE as OTHER_QUEUE


@pytest.fixture
def delays(request: pytest.FixtureRequest) -> Sequence[float]:
    """Seconds before each retry; tests set others by parametrising."""
    return getattr(request, "param", RETRY_DELAYS_SECONDS)


@pytest.fixture(params=["postgresql", "rabbitmq", "rabbitmq-classic"])
def closed_transport(request: pytest.FixtureRequest, delays: Sequence[float]) -> ITransport:
    if request.param == "postgresql":
        return PostgresTransport(request.getfixturevalue("database"), retry_delays_seconds=delays)
    queue_type: QueueType = "classic" if request.param.endswith("classic") else "quorum"
    url = request.getfixturevalue("broker_url")
    return RabbitTransport(url, queue_type=queue_type, retry_delays_seconds=delays)


@pytest.fixture
async def transport(closed_transport: ITransport) -> AsyncIterator[ITransport]:
    transport = closed_transport
    await transport.open()
    yield transport
    await transport.close()


@pytest.fixture
async def consumer(transport: ITransport) -> AsyncIterator[IConsumer]:
    consumer = await transport.consume(QUEUE)
    yield consumer
    await consumer.close()


def _messages(*bodies: str) -> list[OutgoingMessage]:
    return [OutgoingMessage(body.encode()) for body in bodies]


async def _take(consumer: IConsumer, count: int, *, limit: int = 100) -> list[Delivery]:
    """Take until there are `count` messages, or until none arrive."""
    taken: list[Delivery] = []
    while len(taken) < count:
        more = await consumer.take(limit, wait_seconds=3)
        if not more:
            break
        taken += more
    return taken


async def test_what_is_published_is_delivered_once_and_in_order(transport: ITransport, consumer: IConsumer) -> None:
    await transport.publish(QUEUE, _messages("a", "b", "c"))

    taken = await _take(consumer, 3)
    await consumer.decide([(delivery, Ack()) for delivery in taken])

    assert [delivery.body for delivery in taken] == [b"a", b"b", b"c"]
    assert [(d.attempt, d.redelivered, d.queue) for d in taken] == [(1, False, QUEUE)] * 3
    assert await consumer.take(10, wait_seconds=0.2) == ()
    assert (await transport.backlog(QUEUE)).depth == 0


async def test_binary_bodies_are_unchanged(transport: ITransport, consumer: IConsumer) -> None:
    body = bytes(range(256)) * 100
    await transport.publish(QUEUE, [OutgoingMessage(body)])

    (delivery,) = await _take(consumer, 1)

    assert delivery.body == body


async def test_headers_are_delivered(transport: ITransport, consumer: IConsumer) -> None:
    await transport.publish(QUEUE, [OutgoingMessage(b"x", {"apart": True, "name": "n"})])

    (delivery,) = await _take(consumer, 1)

    assert (delivery.headers["apart"], delivery.headers["name"]) == (True, "n")


async def test_every_message_has_an_id_of_its_own_and_a_time(transport: ITransport, consumer: IConsumer) -> None:
    await transport.publish(QUEUE, _messages("a", "a"))

    taken = await _take(consumer, 2)

    assert len({delivery.message_id for delivery in taken}) == 2
    assert all(delivery.published_at is not None for delivery in taken)


async def test_queues_are_separate(transport: ITransport, consumer: IConsumer) -> None:
    await transport.publish(OTHER_QUEUE, _messages("other"))
    await transport.publish(QUEUE, _messages("mine"))

    assert [delivery.body for delivery in await _take(consumer, 2)] == [b"mine"]


async def test_no_more_than_the_limit_is_taken_at_once(transport: ITransport, consumer: IConsumer) -> None:
    await transport.publish(QUEUE, _messages(*"abcdefg"))

    first = await consumer.take(3, wait_seconds=3)

    assert 1 <= len(first) <= 3


async def test_a_message_wakes_a_waiting_consumer(transport: ITransport, consumer: IConsumer) -> None:
    taking = asyncio.create_task(consumer.take(10, wait_seconds=10))
    await asyncio.sleep(0.3)
    began = asyncio.get_running_loop().time()
    await transport.publish(QUEUE, _messages("now"))
    taken = await taking

    assert [delivery.body for delivery in taken] == [b"now"]
    assert asyncio.get_running_loop().time() - began < 0.8


async def test_two_consumers_share_the_messages_and_none_is_delivered_twice(transport: ITransport) -> None:
    first, second = await transport.consume(QUEUE), await transport.consume(QUEUE)
    await transport.publish(QUEUE, _messages(*(str(n) for n in range(60))))

    taken: list[bytes] = []
    for _ in range(40):
        for consumer in (first, second):
            batch = await consumer.take(5, wait_seconds=0.2)
            await consumer.decide([(delivery, Ack()) for delivery in batch])
            taken += [delivery.body for delivery in batch]
        if len(taken) >= 60:
            break
    await first.close()
    await second.close()

    assert sorted(taken, key=int) == [str(n).encode() for n in range(60)]


async def test_undecided_messages_are_redelivered_when_the_consumer_closes(transport: ITransport) -> None:
    first = await transport.consume(QUEUE)
    await transport.publish(QUEUE, _messages("a", "b"))
    taken = await _take(first, 2)
    await first.decide([(taken[0], Ack())])
    await first.close()

    second = await transport.consume(QUEUE)
    again = await _take(second, 1)
    await second.close()

    assert [delivery.body for delivery in again] == [b"b"]


async def test_a_dead_letter_is_stored_with_its_reason_and_the_others_are_acknowledged(
    transport: ITransport, consumer: IConsumer
) -> None:
    await transport.publish(QUEUE, _messages("good", "poison", "better"))
    taken = await _take(consumer, 3)
    decisions = [(d, DeadLetter("cannot be read") if d.body == b"poison" else Ack()) for d in taken]
    await consumer.decide(decisions)

    dead = [letter async for letter in transport.dead_letters()]

    assert [(letter.body, letter.queue, letter.reason) for letter in dead] == [(b"poison", QUEUE, "cannot be read")]
    assert (await transport.backlog(QUEUE)).depth == 0


async def test_dead_letters_are_replayed_or_dropped_by_id(transport: ITransport, consumer: IConsumer) -> None:
    await transport.publish(QUEUE, _messages("one", "two"))
    await consumer.decide([(delivery, DeadLetter("no")) for delivery in await _take(consumer, 2)])
    first, second = [letter async for letter in transport.dead_letters(queue=QUEUE)]

    assert await transport.replay([first.id]) == 1
    assert await transport.drop([second.id]) == 1
    assert await transport.drop([second.id]) == 0
    assert [delivery.body for delivery in await _take(consumer, 1)] == [first.body]
    assert [letter async for letter in transport.dead_letters()] == []


@pytest.mark.parametrize("delays", [(0.4, 0.4)], indirect=True)
async def test_a_retried_message_waits_its_delay_and_has_the_next_attempt_number(
    transport: ITransport, consumer: IConsumer
) -> None:
    await transport.publish(QUEUE, _messages("later"))
    (delivery,) = await _take(consumer, 1)
    await consumer.decide([(delivery, RetryLater("busy"))])

    assert await consumer.take(10, wait_seconds=0.1) == ()
    (again,) = await _take(consumer, 1)
    assert (again.body, again.attempt, again.redelivered) == (b"later", 2, True)


@pytest.mark.parametrize("delays", [(0.1,)], indirect=True)
async def test_after_the_last_delay_a_retried_message_is_dead_lettered_with_its_reason(
    transport: ITransport, consumer: IConsumer
) -> None:
    await transport.publish(QUEUE, _messages("hopeless"))
    for _ in range(2):
        (delivery,) = await _take(consumer, 1)
        await consumer.decide([(delivery, RetryLater("busy"))])

    (letter,) = [letter async for letter in transport.dead_letters()]

    assert letter.reason == "busy (after 2 attempts)"
    assert letter.attempts == 2


async def test_the_backlog_has_depth_and_age(transport: ITransport) -> None:
    assert await transport.backlog(QUEUE) == await transport.backlog(OTHER_QUEUE)

    await transport.publish(QUEUE, _messages("a", "b"))
    backlog = await transport.backlog(QUEUE)

    assert backlog.depth == 2
    assert (await transport.backlog(OTHER_QUEUE)).depth == 0
