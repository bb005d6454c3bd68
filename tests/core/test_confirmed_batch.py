"""Publishing in one piece: each message has an outcome of its own, on a real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError, PublishError
from pytest_mock import MockerFixture

from faregate.core.messaging.rabbitmq import publisher as publisher_module
from faregate.core.messaging.rabbitmq.confirmed_batch import publish_batch
from faregate.core.messaging.rabbitmq.connection import Link, open_link
from faregate.core.messaging.rabbitmq.envelope import Envelope
from faregate.core.messaging.rabbitmq.publisher import Publisher
from faregate.core.messaging.rabbitmq.topology import Topology

QUEUE, FULL = "confirmed-batch", "confirmed-batch-full"


@pytest.fixture
async def link(broker_url: str) -> AsyncIterator[Link]:
    found = await open_link(broker_url, "test", confirms=True)
    refusing: dict[str, Any] = {"x-max-length": 1, "x-overflow": "reject-publish"}
    await found.channel.queue_declare(QUEUE)
    await found.channel.queue_declare(FULL, arguments=refusing)
    yield found
    await found.close()
    cleaner = await open_link(broker_url, "test", confirms=False)
    for queue in (QUEUE, FULL):
        await cleaner.channel.queue_delete(queue)
    await cleaner.close()


async def outcomes(channel: Channel, *envelopes: Envelope) -> list[str]:
    found = await publish_batch(channel, envelopes, timeout_seconds=10)
    return [type(outcome).__name__ if outcome is not None else "stored" for outcome in found]


async def stored(channel: Channel, queue: str = QUEUE) -> list[bytes]:
    bodies = list[bytes]()
    while (message := await channel.basic_get(queue, no_ack=True)).header.properties.message_id is not None:
        bodies.append(message.body)
    return bodies


async def test_each_message_has_an_outcome_of_its_own(link: Link) -> None:
    await publish_batch(link.channel, [Envelope(FULL, b"fills it")], timeout_seconds=10)
    found = await outcomes(
        link.channel,
        Envelope(QUEUE, b"1"),
        Envelope("nowhere", b"2"),
        Envelope(FULL, b"3"),
        Envelope("x" * 300, b"4"),
        Envelope(QUEUE, b"5"),
    )

    assert found == ["stored", PublishError.__name__, DeliveryError.__name__, "TypeError", "stored"]
    assert await stored(link.channel) == [b"1", b"5"]


@pytest.mark.parametrize("size", [0, 1, 131_063, 131_064, 131_065, 400_000])
async def test_a_body_of_any_size_arrives_unchanged(link: Link, size: int) -> None:
    """131,064 bytes fill a frame."""
    body = bytes(n % 251 for n in range(size))

    assert await outcomes(link.channel, Envelope(QUEUE, body), Envelope(QUEUE, b"next")) == ["stored", "stored"]
    assert await stored(link.channel) == [body, b"next"]


async def test_a_thousand_in_one_piece_are_stored_in_their_order(link: Link) -> None:
    bodies = [str(n).encode() for n in range(1_000)]

    assert set(await outcomes(link.channel, *(Envelope(QUEUE, body) for body in bodies))) == {"stored"}
    assert await stored(link.channel) == bodies


async def test_what_was_not_written_leaves_its_numbers_to_the_next(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiormq's write queue is full, and the caller gives up: the broker counts the next message as the first."""
    channel = link.channel
    with monkeypatch.context() as full:
        full.setattr(channel.write_queue, "full", lambda: True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await publish_batch(channel, [Envelope(QUEUE, b"lost")] * 3, timeout_seconds=10)
        late = await publish_batch(channel, [Envelope(QUEUE, b"lost")] * 2, timeout_seconds=0.05)

    assert [type(outcome) for outcome in late] == [TimeoutError, TimeoutError]
    assert await outcomes(channel, Envelope(QUEUE, b"kept"), Envelope("nowhere", b"")) == ["stored", "PublishError"]
    assert await stored(channel) == [b"kept"]
    assert not channel.message_id_delivery_tag


async def test_whoever_gives_up_waiting_for_confirms_disturbs_no_other(link: Link) -> None:
    given_up = asyncio.create_task(publish_batch(link.channel, [Envelope(QUEUE, b"1")] * 200, timeout_seconds=10))
    await asyncio.sleep(0)
    given_up.cancel()

    assert await outcomes(link.channel, Envelope(QUEUE, b"2"), Envelope("nowhere", b"")) == ["stored", "PublishError"]
    assert not link.channel.message_id_delivery_tag
    assert not link.channel.confirmations


async def test_a_piece_that_waits_for_room_is_told_of_the_loss(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link.channel.write_queue, "full", lambda: True)
    waiting = asyncio.create_task(publish_batch(link.channel, [Envelope(QUEUE, b"x")], timeout_seconds=10))
    await asyncio.sleep(0.02)
    await link.abort()

    async with asyncio.timeout(5):
        assert [type(outcome).__name__ for outcome in await waiting] == ["ChannelInvalidStateError"]


@pytest.mark.parametrize("stuck", [["stuck"] * 10, ["stuck", *["quick"] * 255]])
async def test_what_the_broker_does_not_answer_keeps_nobody_else_from_publishing(
    mocker: MockerFixture, stuck: list[str]
) -> None:
    """The broker's queue of some messages has no leader; the window has 256 places."""
    answered = asyncio.Event()

    async def publish(
        _: Channel, envelopes: Sequence[Envelope], *, timeout_seconds: float, settled: Sequence[Callable[[], None]]
    ) -> list[None]:
        for envelope, tell in zip(envelopes, settled, strict=True):
            if envelope.body != b"stuck":
                tell()
        if any(envelope.body == b"stuck" for envelope in envelopes):
            await answered.wait()
        return [None for _ in envelopes]

    mocker.patch.object(publisher_module, "publish_batch", publish)
    link = mocker.create_autospec(Link, instance=True, lost=False, connection=None, channel=None)
    publisher = Publisher(mocker.AsyncMock(return_value=link), mocker.AsyncMock(spec=Topology))
    waiting = asyncio.create_task(publisher.publish([Envelope(QUEUE, text.encode()) for text in stuck]))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await publisher.publish([Envelope(QUEUE, b"quick")] * 600)
        await publisher.publish([Envelope(QUEUE, b"quick")])

    assert not waiting.done()
    answered.set()
    await waiting


async def test_after_the_loss_of_the_connection_every_outcome_is_an_error(link: Link) -> None:
    sending = asyncio.create_task(publish_batch(link.channel, [Envelope(QUEUE, b"x")] * 500, timeout_seconds=10))
    await asyncio.sleep(0)
    await link.abort()

    found = await sending
    assert all(outcome is None or not isinstance(outcome, TimeoutError) for outcome in found)
    assert any(outcome is not None for outcome in found)
    assert None not in await publish_batch(link.channel, [Envelope(QUEUE, b"x")], timeout_seconds=1)
