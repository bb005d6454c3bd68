"""Connections to RabbitMQ: opening, closing and error translation.

aiormq does not reconnect, on purpose, and neither does this module: after any failure a link is discarded, with everything that was
received on it, and a new one is opened: its whole connection, or its channel alone where tenants share the connection.
Delivery tags never outlive a link, so that no message can be acknowledged by mistake.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiormq
from aiormq.channel import Channel
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from aiormq.exceptions import AMQPError

from faregate.core.errors import BrokerUnavailableError
from faregate.core.messaging.rabbitmq.frame_reader import FrameReader
from faregate.core.messaging.rabbitmq.received import Received

__all__ = ["RPC_SECONDS", "Link", "broker_errors", "open_link"]

logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # it logs each loss several times; we log it once

RPC_SECONDS = 10
"""Maximum duration of a call to the broker. A broker in a resource alarm does not answer on publishing connections."""

_HEARTBEAT_SECONDS = 5
"""A dead peer is detected after slightly more than three times this interval."""

_UNANSWERED_SECONDS = 10
"""For how long what was sent may stay unacknowledged by the peer's machine: one that was unplugged answers nothing, and TCP would
go on for a quarter of an hour. A machine that is only slow acknowledges at once.
"""

_CLOSE_SECONDS = 3


@asynccontextmanager
async def broker_errors(what: str, timeout_seconds: float = RPC_SECONDS) -> AsyncGenerator[None]:
    """Convert any error that aiormq raises while `what` is done to `EngineUnavailableError`.

    A lost connection appears as `CancelledError` in the code that waits for it; the task's state distinguishes that from a real
    cancellation.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerUnavailableError(f"RabbitMQ: {what}: the connection was lost") from error
    except TimeoutError as error:
        raise BrokerUnavailableError(f"RabbitMQ: {what}: no answer within {timeout_seconds} s") from error
    except (
        AMQPError,
        OSError,
        EOFError,
        RuntimeError,
        StopAsyncIteration,
    ) as error:  # the last: the broker closed the connection
        raise BrokerUnavailableError(f"RabbitMQ: {what}: {_sentence(error)}") from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        # Code that still waits when a connection ends without a reason gets a bare `Exception` (aiormq.base).
        raise BrokerUnavailableError(f"RabbitMQ: {what}: the connection was lost") from error


class Link:
    """One connection with one channel; both are opened and closed together."""

    def __init__(self, connection: aiormq.Connection, channel: Channel, transport: "_AbortableTransport") -> None:
        self.connection = connection
        self.channel = channel
        self._transport = transport

    @property
    def lost(self) -> bool:
        """Whether the connection or the channel is closed, by either side."""
        return self.connection.is_closed or self.channel.is_closed

    def on_lost(self, tell: Callable[[], None]) -> None:
        """Call `tell` as soon as the connection or the channel is closed."""
        for closing in cast("list[asyncio.Future[object]]", [self.channel.closing, self.connection.closing]):  # pyright: ignore[reportUnknownMemberType]
            closing.add_done_callback(lambda _: tell())

    def deliver_to(self, deliver: Callable[[Sequence[Received]], None]) -> None:
        """Pass what the broker delivers on the channel to `deliver`, past aiormq; call it before consuming."""
        self._transport.reader.deliver_to(deliver, channel=self.channel.number)

    async def another(self, *, confirms: bool) -> "Link":
        """Open another channel on the connection. Closing it leaves the connection to the others.

        Raises:
            EngineUnavailableError: the connection was lost.
        """
        number = next(each for each in count(1) if each not in self.connection.channels)
        async with broker_errors("opening a channel"), asyncio.timeout(RPC_SECONDS):
            channel = await self.connection.channel(number, publisher_confirms=confirms)
        return _SharedLink(self.connection, cast("Channel", channel), self._transport)

    async def close(self) -> None:
        """Close in an orderly way, or abort if the broker does not answer; never raises. Unacknowledged messages return to the
        queue.
        """
        await _close(self.connection, self._transport)

    async def abort(self) -> None:
        """Close without a word to the broker, because it does not answer; never raises."""
        self._transport.release()
        await self.close()


async def open_link(url: str, name: str, *, confirms: bool, timeout_seconds: float = RPC_SECONDS) -> Link:
    """Connect; `name` identifies the connection to the broker's operator.

    Raises:
        EngineUnavailableError: there is no broker, or it refuses the login.
    """
    parts = urlsplit(url)
    query = {"heartbeat": str(_HEARTBEAT_SECONDS), "name": name, **dict(parse_qsl(parts.query))}
    transport = _AbortableTransport(TLSTransportFactory() if parts.scheme == "amqps" else TCPTransportFactory())
    async with broker_errors(f"connecting to {parts.hostname or 'localhost'}", timeout_seconds):
        connection = aiormq.Connection(urlunsplit(parts._replace(query=urlencode(query))), transport_factory=transport)
        try:
            async with asyncio.timeout(timeout_seconds):
                await connection.connect()  # pyright: ignore[reportUnknownMemberType]
                channel = cast("Channel", await connection.channel(publisher_confirms=confirms))
        except BaseException:
            await _close(connection, transport)
            raise
    return Link(connection, channel, transport)


class _SharedLink(Link):
    """A channel of a connection on which others have channels, too."""

    def __init__(self, connection: aiormq.Connection, channel: Channel, transport: "_AbortableTransport") -> None:
        super().__init__(connection, channel, transport)
        self._observers: list[asyncio.Future[object]] = []
        self._deliver: Callable[[Sequence[Received]], None] | None = None

    def on_lost(self, tell: Callable[[], None]) -> None:
        def lost(observer: asyncio.Future[object]) -> None:
            if not observer.cancelled():
                tell()

        for closing in cast("list[asyncio.Future[object]]", [self.channel.closing, self.connection.closing]):  # pyright: ignore[reportUnknownMemberType]
            closing.add_done_callback(lost)
            self._observers.append(closing)

    def deliver_to(self, deliver: Callable[[Sequence[Received]], None]) -> None:
        self._deliver = deliver
        super().deliver_to(deliver)

    async def close(self) -> None:
        """Close the channel, or abort the connection if the broker does not answer: what the channel has not acknowledged must
        return to the queue.
        """
        for observer in self._observers:
            observer.cancel()
        self._observers.clear()
        with contextlib.suppress(BrokerUnavailableError):
            async with broker_errors("closing a channel"), asyncio.timeout(_CLOSE_SECONDS):
                await self.channel.close()
        if not self.channel.is_closed:
            self._transport.release()
        if self._deliver is not None:
            self._transport.reader.forget(self._deliver, channel=self.channel.number)


class _AbortableTransport(TransportFactory):
    """Keeps the socket, to abort a peer that never answers, and repairs frames that cannot be decoded."""

    def __init__(self, inner: TransportFactory) -> None:
        self._inner = inner
        self._writer: asyncio.StreamWriter | None = None
        self.reader: FrameReader

    async def create(self, url: Any, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self._writer = await self._inner.create(url, **kwargs)
        _limit_silence(self._writer)
        self.reader = FrameReader(reader)
        return cast("asyncio.StreamReader", self.reader), self._writer

    def release(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


async def _close(connection: aiormq.Connection, transport: _AbortableTransport) -> None:
    with contextlib.suppress(Exception):
        if connection.is_opened:
            await connection.close(timeout=_CLOSE_SECONDS)
    transport.release()


def _limit_silence(writer: asyncio.StreamWriter) -> None:
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; elsewhere heartbeats detect the loss some seconds later
        milliseconds = _UNANSWERED_SECONDS * 1000
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _sentence(error: BaseException) -> str:
    return str(error) or type(error).__name__
