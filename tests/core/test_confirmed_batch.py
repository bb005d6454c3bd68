"""Publishing in one piece: each message has an outcome of its own, on a real broker."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError, PublishError

from faregate.core.messaging.rabbitmq.confirmed_batch import publish_batch
from faregate.core.messaging.rabbitmq.connection import Link, open_link
from faregate.core.messaging.rabbitmq.envelope import Envelope

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
        full.setattr(channel.write_queue, "put", _never)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await publish_batch(channel, [Envelope(QUEUE, b"lost")] * 3, timeout_seconds=10)
        late = await publish_batch(channel, [Envelope(QUEUE, b"lost")] * 2, timeout_seconds=0.05)

    assert [type(outcome) for outcome in late] == [TimeoutError, TimeoutError]
    assert await outcomes(channel, Envelope(QUEUE, b"kept"), Envelope("nowhere", b"")) == ["stored", "PublishError"]
    assert await stored(channel) == [b"kept"]
    assert not channel.message_id_delivery_tag


async def test_after_the_loss_of_the_connection_every_outcome_is_an_error(link: Link) -> None:
    sending = asyncio.create_task(publish_batch(link.channel, [Envelope(QUEUE, b"x")] * 500, timeout_seconds=10))
    await asyncio.sleep(0)
    await link.abort()

    found = await sending
    assert all(outcome is None or not isinstance(outcome, TimeoutError) for outcome in found)
    assert any(outcome is not None for outcome in found)
    assert None not in await publish_batch(link.channel, [Envelope(QUEUE, b"x")], timeout_seconds=1)


async def _never(_: object) -> None:
    await asyncio.Event().wait()
