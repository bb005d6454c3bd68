"""Reading of AMQP frames: deliveries go to the consumer, everything else to aiormq, wherever the bytes are cut."""

import asyncio
import struct
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.frame import unmarshal
from pamqp.header import ContentHeader

from faregate.core.messaging.rabbitmq.frame_reader import FrameReader
from faregate.core.messaging.rabbitmq.frames import repaired
from faregate.core.messaging.rabbitmq.received import Received, properties_of
from support.foreign import frame, header_payload, long_text, short_text, table, time

CHANNEL = 7
HEARTBEAT = frame(8, 0, b"")
ACK = frame(1, 3, b"\0\x3c\0\x50" + time(9) + b"\0")
"""A confirmation on another channel."""
GOT = frame(1, CHANNEL, b"\0\x3c\0\x47" + time(5) + b"\0" + short_text(b"") + short_text(b"queue") + b"\0\0\0\x01")
"""The answer to a get on the consumer's channel, which is no delivery."""


def delivery(tag: int, parts: Sequence[bytes], *, redelivered: bool = False, **properties: bytes) -> list[bytes]:
    """Return the frames of one delivery."""
    method = (
        b"\0\x3c\0\x3c" + short_text(b"ctag") + time(tag) + bytes([redelivered]) + short_text(b"") + short_text(b"q")
    )
    header = header_payload(sum(map(len, parts)), **properties)
    return [frame(1, CHANNEL, method), frame(2, CHANNEL, header), *(frame(3, CHANNEL, part) for part in parts)]


async def read(pieces: Sequence[bytes]) -> tuple[list[Received], list[bytes]]:
    """Feed the pieces one at a time; return what the consumer received, and the frames that aiormq read."""
    stream, received, others = asyncio.StreamReader(), list[Received](), list[bytes]()
    reader = FrameReader(stream)
    reader.deliver_to(received.extend, channel=CHANNEL)

    async def feed() -> None:
        for piece in pieces:
            stream.feed_data(piece)
            await asyncio.sleep(0)
        stream.feed_eof()

    feeding = asyncio.create_task(feed())
    while not reader.at_eof():
        try:
            head = await reader.readexactly(1) + await reader.readexactly(6)
        except asyncio.IncompleteReadError:
            break
        others.append(head + await reader.readexactly(struct.unpack(">I", head[3:])[0] + 1))
    await feeding
    return received, others


@pytest.mark.parametrize("seed", range(100))
async def test_every_delivery_arrives_in_order_wherever_the_bytes_are_cut(seed: int) -> None:
    random = Random(seed)
    sent = [
        [random.randbytes(random.randint(1, 20)) for _ in range(random.randrange(4))]
        for _ in range(random.randrange(7))
    ]
    frames: list[bytes] = []
    for tag, parts in enumerate(sent, 1):
        frames += delivery(tag, parts, redelivered=tag % 2 == 0, message_id=short_text(b"m%d" % tag))
        frames += random.choices([HEARTBEAT, ACK, GOT], k=random.randrange(3))
    whole = b"".join(frames)
    at = sorted(random.randint(0, len(whole)) for _ in range(random.randrange(9)))
    pieces = [whole[a:b] for a, b in zip([0, *at], [*at, len(whole)], strict=True)]

    received, others = await read([piece for piece in pieces if piece])

    assert [(m.tag, m.body, m.properties["message_id"]) for m in received] == [
        (tag, b"".join(parts), f"m{tag}") for tag, parts in enumerate(sent, 1)
    ]
    assert [m.redelivered for m in received] == [tag % 2 == 0 for tag in range(1, len(sent) + 1)]
    named = [frame for frame in others if frame != HEARTBEAT]
    assert named == [frame for frame in frames if frame in {ACK, GOT}]


async def test_frames_between_the_parts_of_a_delivery_are_passed_on() -> None:
    method, header, *parts = delivery(1, [b"one", b"two"])

    received, others = await read([method + HEARTBEAT + header + ACK + parts[0] + HEARTBEAT + parts[1]])

    assert [message.body for message in received] == [b"onetwo"]
    assert [frame for frame in others if frame == ACK] == [ACK]


async def test_a_broker_that_only_delivers_does_not_look_dead() -> None:
    """It sends no heartbeats then; aiormq, which sees no deliveries, is given one."""
    _, others = await read(delivery(1, [b"x"]))

    assert HEARTBEAT in others


async def test_an_unfinished_delivery_is_dropped_when_its_channel_closes() -> None:
    method, header, *_ = delivery(1, [b"body"])
    closed = frame(1, CHANNEL, b"\0\x14\0\x28\0\0" + short_text(b"") + b"\0\0\0\0")

    received, others = await read([method, header, closed, *delivery(2, [b"next"])])

    assert [message.tag for message in received] == [2]
    assert closed in others


async def test_a_damaged_frame_reaches_aiormq_which_closes_the_connection() -> None:
    method, header, body = delivery(1, [b"x"])
    damaged = body[:-1] + b"\x00"

    received, others = await read([method + header + damaged])

    assert received == []
    assert others == [damaged]


text = st.one_of(st.text(st.characters(codec="ascii"), max_size=30).map(str.encode), st.binary(max_size=30))


@given(
    values=st.fixed_dictionaries(
        {},
        optional={
            "content_type": text.map(short_text),
            "message_id": text.map(short_text),
            "timestamp": st.integers(0, 2**64 - 1).map(time),
            "priority": st.binary(min_size=1, max_size=1),
            "headers": st.lists(
                st.tuples(
                    text.filter(bool),
                    st.one_of(
                        text.map(lambda t: b"S" + long_text(t)), st.sampled_from([b"V", b"t\x01", b"T" + time(1)])
                    ),
                ),
                max_size=3,
            ).map(lambda items: table(*items)),
        },
    )
)
def test_properties_are_read_as_pamqp_reads_them(values: dict[str, bytes]) -> None:
    payload = header_payload(5, **values)
    _, _, header = unmarshal(repaired(frame(2, CHANNEL, payload)))
    assert isinstance(header, ContentHeader)
    read_by_pamqp: dict[str, Any] = {name: value for name, value in header.properties if value not in (None, "")}

    assert {name: value for name, value in properties_of(payload).items() if value != ""} == read_by_pamqp


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_header_that_ends_too_early_is_not_read_as_a_whole_one(cut: int) -> None:
    payload = header_payload(5, message_id=short_text(b"0123456789"))[:-cut]

    with pytest.raises(Exception):  # noqa: B017  pamqp raises several kinds, which close the connection
        assert properties_of(payload) == {"message_id": "0123456789"}
