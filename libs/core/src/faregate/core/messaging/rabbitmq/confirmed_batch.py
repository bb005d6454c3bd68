"""Publishing of many messages in one piece, each with a confirm.

aiormq publishes one message at a time, with a lock, a timer and a place in its write queue for each. Here tags and confirmations
are kept as its `Channel.basic_publish` keeps them, so that its reader resolves them, and all messages are written at once.
"""

import asyncio
import struct
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any, Protocol, cast

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError
from pamqp import frame
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from faregate.core.messaging.rabbitmq.envelope import Envelope

__all__ = ["publish_batch"]

_BODY, _END = 3, b"\xce"
_LOOK_SECONDS = 0.005
"""Time between two looks whether aiormq has room for a piece: its queue would not tell that the channel was lost meanwhile."""

_Confirmation = asyncio.Future[Any]
_Message = tuple[str, bytes]
"""The id of a message and its frames."""


class _IChannel(Protocol):
    """What is used of a `Channel`, with the types that aiormq leaves open."""

    number: int
    max_content_size: int
    delivery_tag: int
    confirmations: dict[int, Any]
    message_id_delivery_tag: dict[str, int]
    write_queue: asyncio.Queue[ChannelFrame]

    @property
    def is_closed(self) -> bool: ...

    @property
    def lock(self) -> AbstractAsyncContextManager[None]: ...

    def create_future(self) -> _Confirmation: ...


async def publish_batch(
    channel: Channel,
    envelopes: Sequence[Envelope],
    *,
    timeout_seconds: float,
    settled: Sequence[Callable[[object], None]] = (),
) -> list[BaseException | None]:
    """Publish on a channel with confirms; return for each message why it is not known to be stored, or None.

    A message that the broker could not route gets a `PublishError`, one that it refused a `DeliveryError`, one that it did not
    confirm in time a `TimeoutError`, one that cannot be encoded the error of that; after the loss of the channel, the others get
    its error.

    Args:
        settled: for each envelope, what is called as soon as the broker has answered for it; it is not, if there is no answer.
    """
    open_channel = cast("_IChannel", channel)
    made = [_made(open_channel, envelope) for envelope in envelopes]
    chosen = [number for number, message in enumerate(made) if isinstance(message, tuple)]
    messages = [message for message in made if isinstance(message, tuple)]
    told = [settled[number] for number in chosen] if settled else []
    sent = iter(await _confirmed(open_channel, messages, timeout_seconds, told) if messages else ())
    return [next(sent) if isinstance(message, tuple) else message for message in made]


async def _confirmed(
    channel: _IChannel,
    messages: Sequence[_Message],
    timeout_seconds: float,
    settled: Sequence[Callable[[object], None]],
) -> list[BaseException | None]:
    ids, piece = [message_id for message_id, _ in messages], b"".join(data for _, data in messages)
    confirmations: list[_Confirmation] = []
    try:
        async with asyncio.timeout(timeout_seconds):
            confirmations = await _send(channel, ids, piece)
            for confirmation, tell in zip(confirmations, settled, strict=False):
                confirmation.add_done_callback(tell)
            await asyncio.wait(confirmations)
    except Exception as error:  # noqa: BLE001  aiormq raises several kinds on a channel that was lost
        if not confirmations:
            return [error for _ in ids]
    finally:
        for message_id in ids:
            channel.message_id_delivery_tag.pop(message_id, None)
    return [_outcome(confirmation) for confirmation in confirmations]


async def _send(channel: _IChannel, ids: Sequence[str], piece: bytes) -> list[_Confirmation]:
    """Write all in one piece, which counts as published from then on."""
    async with channel.lock:
        while channel.write_queue.full():
            if channel.is_closed:
                raise ChannelInvalidStateError(f"{channel} closed")
            await asyncio.sleep(_LOOK_SECONDS)
        tags = range(channel.delivery_tag + 1, channel.delivery_tag + 1 + len(ids))
        confirmations = [channel.create_future() for _ in tags]
        channel.confirmations.update(zip(tags, confirmations, strict=True))
        channel.message_id_delivery_tag.update(zip(ids, tags, strict=True))
        channel.delivery_tag = tags[-1]
        channel.write_queue.put_nowait(ChannelFrame(piece, should_close=False))
    return confirmations


def _made(channel: _IChannel, envelope: Envelope) -> _Message | Exception:
    try:
        properties, body, number = envelope.properties(), envelope.body, channel.number
        header = ContentHeader(properties=properties, body_size=len(body))
        parts = [_publish_frame(number, envelope.exchange, envelope.routing_key), frame.marshal(header, number)]
    except Exception as error:  # noqa: BLE001  pamqp raises several kinds, and the others of the batch are published
        return error
    size = channel.max_content_size if channel.max_content_size > 0 else max(1, len(body))
    parts += [_body_frame(number, body[at : at + size]) for at in range(0, len(body), size)]
    return str(properties.message_id), b"".join(parts)


@lru_cache(maxsize=256)
def _publish_frame(number: int, exchange: str, routing_key: str) -> bytes:
    publish = Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
    return frame.marshal(publish, number)


def _body_frame(number: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", _BODY, number, len(payload)) + payload + _END


def _outcome(confirmation: _Confirmation) -> BaseException | None:
    if not confirmation.done():
        return TimeoutError()
    return asyncio.CancelledError() if confirmation.cancelled() else confirmation.exception()
