"""RabbitMQ publisher with arbitrary property bytes."""

import struct
from collections.abc import Sequence

import aiormq
from aiormq.abc import ChannelFrame
from pamqp.commands import Basic

__all__ = ["frame", "header_payload", "long_text", "publish_raw", "short_text", "table", "time"]

_FLAGS = {
    "content_type": 0x8000, "content_encoding": 0x4000, "headers": 0x2000, "delivery_mode": 0x1000, "priority": 0x0800,
    "correlation_id": 0x0400, "reply_to": 0x0200, "expiration": 0x0100, "message_id": 0x0080, "timestamp": 0x0040,
    "type": 0x0020, "user_id": 0x0010, "app_id": 0x0008,
}  # fmt: skip


def short_text(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def long_text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def time(value: int) -> bytes:
    return struct.pack(">Q", value)


def table(*items: tuple[bytes, bytes]) -> bytes:
    """Return a field table; each value begins with the letter of its type."""
    return long_text(b"".join(short_text(name) + value for name, value in items))


def header_payload(size: int, **properties: bytes) -> bytes:
    """Return the payload of a content header frame."""
    given = [(flag, properties[name]) for name, flag in _FLAGS.items() if name in properties]
    flags = sum(flag for flag, _ in given)
    return struct.pack(">HHQH", 60, 0, size, flags) + b"".join(value for _, value in given)


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


async def publish_raw(url: str, queue: str, messages: Sequence[tuple[bytes, dict[str, bytes]]]) -> None:
    """Publish bodies with these properties; the last one is stored when this returns."""
    connection = await aiormq.connect(url)
    try:
        channel = await connection.channel(publisher_confirms=False)
        number = channel.number
        begin = ChannelFrame.marshall(channel_number=number, frames=[Basic.Publish(routing_key=queue)]).payload
        for body, properties in messages:
            data = begin + frame(2, number, header_payload(len(body), **properties)) + frame(3, number, body)
            await connection.write_queue.put(ChannelFrame(payload=data, should_close=False))
        await channel.queue_declare(queue, passive=True)  # answered after everything published before it
    finally:
        await connection.close()
