"""Connections to RabbitMQ: how one is opened, how its many ways to fail become one error, how it is let go.

aiormq does not reconnect, on purpose, and neither do we: whatever happens to a channel, its whole connection is thrown
away with everything that was received on it, and a new one begins from nothing. Delivery tags never outlive a
connection, so that no message can be acknowledged by mistake.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiormq
from aiormq.channel import Channel
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from aiormq.exceptions import AMQPError

from faregate.core.errors import BrokerUnavailableError
from faregate.core.messaging.rabbitmq.frames import RepairingReader

__all__ = ["RPC_SECONDS", "Link", "broker_errors", "open_link"]

logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # it tells each loss several times; we tell it once

RPC_SECONDS = 10
"""How long a call to the broker may take. A broker in a resource alarm answers nothing on publishing connections."""

_HEARTBEAT_SECONDS = 10
"""A dead peer is noticed after three times this and a little."""

_CLOSE_SECONDS = 3


@asynccontextmanager
async def broker_errors(what: str) -> AsyncGenerator[None]:
    """Turn whatever aiormq raises while `what` is done into `EngineUnavailableError`.

    A lost connection surfaces as `CancelledError` of whatever waits on it; that is told from a real cancellation by
    asking the task.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerUnavailableError(f"RabbitMQ: {what}: the connection was lost") from error
    except TimeoutError as error:
        raise BrokerUnavailableError(f"RabbitMQ: {what}: no answer within {RPC_SECONDS} s") from error
    except (AMQPError, OSError, EOFError, RuntimeError, StopAsyncIteration) as error:  # the last: it hung up on us
        raise BrokerUnavailableError(f"RabbitMQ: {what}: {_sentence(error)}") from error
    except Exception as error:
        if type(error) is not Exception:
            raise
        # What still waits when a connection ends without a reason is given a bare `Exception` (aiormq.base).
        raise BrokerUnavailableError(f"RabbitMQ: {what}: the connection was lost") from error


class Link:
    """One connection with one channel; they live and die together."""

    def __init__(self, connection: aiormq.Connection, channel: Channel, grip: "_Grip") -> None:
        self.connection = connection
        self.channel = channel
        self._grip = grip

    @property
    def lost(self) -> bool:
        """Whether the connection or the channel is closed, by whomever."""
        return self.connection.is_closed or self.channel.is_closed

    def on_lost(self, tell: Callable[[], None]) -> None:
        """Have `tell` called as soon as the connection or the channel is closed."""
        for closing in cast("list[asyncio.Future[object]]", [self.channel.closing, self.connection.closing]):  # pyright: ignore[reportUnknownMemberType]
            closing.add_done_callback(lambda _: tell())

    async def close(self) -> None:
        """Close politely, or abruptly when the broker does not answer; never raises. Unacknowledged messages go back."""
        await _close(self.connection, self._grip)


async def open_link(url: str, name: str, *, confirms: bool) -> Link:
    """Connect; `name` is what the broker's operator sees.

    Raises:
        EngineUnavailableError: there is no broker, or it does not let us in.
    """
    parts = urlsplit(url)
    query = {"heartbeat": str(_HEARTBEAT_SECONDS), "name": name, **dict(parse_qsl(parts.query))}
    grip = _Grip(TLSTransportFactory() if parts.scheme == "amqps" else TCPTransportFactory())
    async with broker_errors(f"connecting to {parts.hostname or 'localhost'}"):
        connection = aiormq.Connection(urlunsplit(parts._replace(query=urlencode(query))), transport_factory=grip)
        try:
            async with asyncio.timeout(RPC_SECONDS):
                await connection.connect()  # pyright: ignore[reportUnknownMemberType]
                channel = cast("Channel", await connection.channel(publisher_confirms=confirms))
        except BaseException:
            await _close(connection, grip)
            raise
    return Link(connection, channel, grip)


class _Grip(TransportFactory):
    """Keeps the socket, to abort a peer that never answers, and has what cannot be decoded repaired."""

    def __init__(self, inner: TransportFactory) -> None:
        self._inner = inner
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: Any, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self._writer = await self._inner.create(url, **kwargs)
        return cast("asyncio.StreamReader", RepairingReader(reader)), self._writer

    def release(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


async def _close(connection: aiormq.Connection, grip: _Grip) -> None:
    with contextlib.suppress(Exception):
        if connection.is_opened:
            await connection.close(timeout=_CLOSE_SECONDS)
    grip.release()


def _sentence(error: BaseException) -> str:
    return str(error) or type(error).__name__
