"""Messages of other publishers: none blocks its queue, is lost, or changes its identity."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiormq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.frame import unmarshal
from pamqp.header import ContentHeader

from faregate.core.messaging.interfaces import Ack, DeadLetter, Delivery, RetryLater
from faregate.core.messaging.rabbitmq.frames import UNREADABLE, repaired
from faregate.core.messaging.rabbitmq.headers import DROPPED, kept_headers
from faregate.core.messaging.rabbitmq.topology import DEAD_QUEUE
from faregate.core.messaging.rabbitmq.transport import RabbitTransport
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE as QUEUE
from support.foreign import frame, header_payload, long_text, publish_raw, short_text, table, time


def nested(depth: int) -> bytes:
    value = b"V"
    for _ in range(depth):
        value = b"F" + table((b"n", value))
    return table((b"n", value))


ODD: dict[str, dict[str, bytes]] = {
    "another content type": {"content_type": short_text(b"text/xml")},
    "compressed": {"content_encoding": short_text(b"gzip")},
    "a time in ms": {"timestamp": time(1_764_334_000_000)},
    "a time in ns": {"timestamp": time(1_764_334_000_000_000_000)},
    "a time out of range": {"timestamp": time(2**64 - 1)},
    "a time in the future": {"timestamp": time(4_000_000_000)},
    "an id that is not UTF-8": {"message_id": short_text(b"\xff\xfe")},
    "a long id that is not UTF-8": {"message_id": short_text(b"\xff" * 255)},
    "an id with NUL": {"message_id": short_text(b"a\0b")},
    "a type that is not UTF-8": {"content_type": short_text(b"\xe9"), "type": short_text(b"\xe9")},
    "a reply-to that is not UTF-8": {"correlation_id": short_text(b"\xe9"), "reply_to": short_text(b"\xff")},
    "priority": {"priority": b"\xff"},
    "with an expiration": {"expiration": short_text(b"3600000")},
    "a text that is not UTF-8": {"headers": table((b"S", b"S" + long_text(b"\xff\xfe")))},
    "a float beyond single precision": {"headers": table((b"d", b"d" + b"\x7f\xe1\xcc\xf3\x85\xeb\xc8\xa0"))},
    "a decimal of 2^32": {"headers": table((b"D", b"D\x02\xff\xff\xff\xff"))},
    "our headers in wrong types": {
        "headers": table((b"x-message-id", b"F" + table()), (b"x-attempt", b"S" + long_text(b"3")), (b"x-reason", b"V"))
    },
    "a broker's header in a wrong type": {"headers": table((b"x-death", b"S" + long_text(b"x")))},
    "headers that fill a frame": {"headers": table((b"big", b"S" + long_text(b"x" * 130_900)), (b"small", b"t\x01"))},
}
UNDECODABLE: dict[str, dict[str, bytes]] = {
    "a name that is not UTF-8": {"headers": table((b"\xff", b"t\x01"))},
    "nested deeper than the stack limit": {"headers": nested(900)},
    "nested too deep": {"headers": nested(60)},
    "a time in a header out of range": {"headers": table((b"T", b"T" + time(2**64 - 1)))},
}


@pytest.fixture
async def transport(broker_url: str) -> AsyncIterator[RabbitTransport]:
    transport = RabbitTransport(broker_url, retry_delays_seconds=(0.1, 0.1))
    await transport.open()
    yield transport
    await transport.close()


async def take(consumer: Any, count: int) -> list[Delivery]:
    taken: list[Delivery] = []
    for _ in range(10):
        taken += await consumer.take(100, wait_seconds=5)
        if len(taken) >= count:
            return taken
    raise AssertionError(f"{len(taken)} of {count} messages came")


async def test_no_foreign_message_blocks_its_queue_and_none_is_lost(
    broker_url: str, transport: RabbitTransport
) -> None:
    """Each is delivered with its body, and can be retried, dead-lettered and replayed."""
    messages = [(name.encode(), properties) for name, properties in {**ODD, **UNDECODABLE}.items()]
    await publish_raw(broker_url, QUEUE, [pair for message in messages for pair in (message, (b"neighbour", {}))])
    consumer = await transport.consume(QUEUE)
    first = await take(consumer, len(ODD) + len(messages))
    odd = [delivery for delivery in first if delivery.body != b"neighbour"]
    await consumer.decide([(d, Ack() if d.body == b"neighbour" else RetryLater("busy")) for d in first])
    again = await take(consumer, len(ODD))
    await consumer.decide([(delivery, DeadLetter("no")) for delivery in again])
    letters = [letter async for letter in transport.dead_letters()]
    replayed = await transport.replay([letter.id for letter in letters])
    third = await take(consumer, len(messages))
    await consumer.decide([(delivery, Ack()) for delivery in third])
    await consumer.close()

    assert sorted(delivery.body.decode() for delivery in odd) == sorted(ODD)
    assert {delivery.attempt for delivery in again} == {2}
    reasons = {letter.body.decode(): letter.reason for letter in letters}
    assert {name for name, reason in reasons.items() if reason == "no"} == set(ODD)
    assert {name for name, reason in reasons.items() if reason.startswith("unreadable: the headers")} == set(
        UNDECODABLE
    )
    assert replayed == len(messages)
    assert sorted(delivery.body.decode() for delivery in third) == sorted([*ODD, *UNDECODABLE])
    assert (await transport.backlog(QUEUE)).depth == 0


async def test_copies_keep_the_publishers_properties_and_never_expire(
    broker_url: str, transport: RabbitTransport
) -> None:
    said = {
        "content_type": short_text(b"text/xml"), "content_encoding": short_text(b"gzip"), "correlation_id": short_text(b"c"),
        "reply_to": short_text(b"r"), "type": short_text(b"t"), "app_id": short_text(b"a"), "expiration": short_text(b"3600000"),
        "headers": table((b"theirs", b"S" + long_text(b"yes"))),
    }  # fmt: skip
    await publish_raw(broker_url, QUEUE, [(b"x", said)])
    consumer = await transport.consume(QUEUE)
    (delivery,) = await take(consumer, 1)
    await consumer.decide([(delivery, DeadLetter("no"))])
    await consumer.close()
    connection = await aiormq.connect(broker_url)
    message = await (await connection.channel()).basic_get(DEAD_QUEUE)
    await connection.close()

    found = message.header.properties
    assert (found.content_type, found.content_encoding, found.correlation_id) == ("text/xml", "gzip", "c")
    assert (found.reply_to, found.message_type, found.app_id, found.expiration) == ("r", "t", "a", None)
    assert (found.headers or {})["theirs"] == "yes"


async def test_foreign_messages_in_the_dead_letter_queue_hide_none(broker_url: str, transport: RabbitTransport) -> None:
    strange = [
        (b"1", {}),
        (b"2", {"headers": table((b"x-death", b"S" + long_text(b"x")))}),
        (b"3", {"headers": table((b"x-death", b"A" + long_text(b"V")), (b"\xff", b"V"))}),
        (b"4", {"headers": table((b"x-reason", b"t\x01")), "message_id": short_text(b"\xff")}),
        (b"5", {"headers": table((b"x-reason", b"S" + long_text(b"r")), (b"x-dead-at", b"S" + long_text(b"never")))}),
    ]
    await publish_raw(broker_url, DEAD_QUEUE, cast("Any", strange))
    letters = [letter async for letter in transport.dead_letters()]

    assert [letter.body for letter in letters] == [body for body, _ in strange]
    assert len({letter.id for letter in letters}) == len(strange)
    assert await transport.drop([letters[1].id, letters[3].id]) == 2
    assert [letter.body async for letter in transport.dead_letters()] == [b"1", b"3", b"5"]


async def test_a_publish_time_in_the_future_is_ignored_for_the_age_of_a_backlog(
    broker_url: str, transport: RabbitTransport
) -> None:
    """Holds expire by that age: a publisher whose clock is years ahead must not end the holds of waiting settlements."""
    ahead = int((datetime.now(UTC) + timedelta(days=400)).timestamp())
    await publish_raw(broker_url, QUEUE, [(b"liar", {"timestamp": time(ahead)}), (b"waits", {})])
    consumer = await transport.consume(QUEUE)
    deliveries = await take(consumer, 2)
    backlog = await transport.backlog(QUEUE)
    await consumer.close()

    assert deliveries[0].published_at is None
    assert (backlog.depth, backlog.oldest_at) == (2, None)


@given(
    content_type=st.binary(max_size=255),
    message_id=st.binary(max_size=255),
    stamp=st.integers(0, 2**64 - 1),
    names=st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.binary(max_size=60)), max_size=4),
    size=st.integers(0, 2**40),
)
def test_a_repaired_frame_can_be_decoded_and_keeps_its_size_and_channel(
    content_type: bytes, message_id: bytes, stamp: int, names: list[tuple[bytes, bytes]], size: int
) -> None:
    headers = table(*((name, b"S" + long_text(value)) for name, value in names))
    payload = header_payload(
        size,
        content_type=short_text(content_type),
        headers=headers,
        message_id=short_text(message_id),
        timestamp=time(stamp),
    )
    given = frame(2, 7, payload)
    _, channel, header = unmarshal(repaired(given))

    assert isinstance(header, ContentHeader)
    assert (channel, header.body_size) == (7, size)
    assert isinstance(header.properties.message_id, str)
    assert (repaired(given) == given) == is_decodable(given)


def is_decodable(data: bytes) -> bool:
    try:
        unmarshal(data)
    except Exception:  # noqa: BLE001  the test collects all kinds that pamqp raises
        return False
    return True


@given(st.binary(max_size=255), st.binary(max_size=255))
def test_two_message_ids_never_become_one(one: bytes, other: bytes) -> None:
    """Except that an id may equal the repaired form of another, which a publisher can only do on purpose."""
    ids = [unmarshal(repaired(frame(2, 1, header_payload(1, message_id=short_text(i))))) for i in (one, other)]
    texts = [cast("ContentHeader", header).properties.message_id for _, _, header in ids]

    assert (texts[0] == texts[1]) == (one == other) or b"\\x" in one + other


@pytest.mark.parametrize("key", [b"\xff\xfe", b"\xc3\xa9", b"plain", b"\xff" * 255])
@pytest.mark.parametrize("kind", ["deliver", "get"])
def test_a_message_with_a_routing_key_that_is_not_utf_8_is_delivered(key: bytes, kind: str) -> None:
    names = short_text(b"amq.topic") + short_text(key)
    tag = time(5) + b"\0"
    payload = (
        b"\0\x3c\0\x3c" + short_text(b"consumer") + tag + names
        if kind == "deliver"
        else b"\0\x3c\0\x47" + tag + names + b"\0\0\0\x01"
    )
    _, _, found = unmarshal(repaired(frame(1, 1, payload)))

    assert isinstance(found, Basic.Deliver | Basic.GetOk)
    assert (found.delivery_tag, found.exchange) == (5, "amq.topic")


def test_headers_beyond_the_limit_are_dropped_by_name_and_ours_are_kept() -> None:
    kept = kept_headers({"big": "x" * 100_000, "small": 1, "x-reason": "r" * 2_000}, ours=frozenset({"x-reason"}))

    assert kept == {"small": 1, "x-reason": "r" * 2_000, DROPPED: ["big"]}


def test_the_reason_and_the_original_bytes_of_unreadable_headers_are_kept() -> None:
    _, _, header = unmarshal(repaired(frame(2, 1, header_payload(1, headers=table((b"\xff", b"t\x01"))))))

    assert isinstance(header, ContentHeader)
    headers = header.properties.headers or {}
    assert headers[UNREADABLE] == "the headers cannot be decoded (UnicodeDecodeError)"
    assert headers["x-raw-headers"] == bytearray(table((b"\xff", b"t\x01")))
