"""Publisher to the public queues over AMQP.

aiormq is imported only if a broker is configured.
"""

import asyncio
import logging
import random
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

from faregate.client.errors import UnavailableError
from faregate.client.transport.per_loop import PerLoop
from faregate.wire.broker_addresses import broker_addresses

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel, AbstractConnection

__all__ = ["SETTLE_MULTIMODEL_QUEUE", "USAGE_LOG_QUEUE", "Broker"]

log = logging.getLogger("faregate.client")

SETTLE_MULTIMODEL_QUEUE = "credits_process_end_multimodel_queue"
USAGE_LOG_QUEUE = "feature_usage_queue"


class Broker:
    """One connection and channel for each event loop, opened at the first message and again after an error.

    `url` may be several, separated by commas: the nodes of a cluster, tried in turn, in random order. It never declares a queue:
    gateway and worker own the arguments of the queues. Messages are persistent, mandatory and confirmed: `publish` returns when
    the broker has stored the message.
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        attempt_seconds = timeout_seconds / len(broker_addresses(url))
        self._lines = PerLoop(lambda: _Line(url, attempt_seconds), _Line.aclose)

    async def publish(self, queue: str, body: bytes, *, correlation_id: str | None = None) -> None:
        """Publish one message to a queue.

        Raises:
            UnavailableError: it is unknown whether the message was stored; publish it again, its usage key makes that safe.
        """
        from aiormq.exceptions import AMQPError
        from pamqp.commands import Basic

        properties = Basic.Properties(
            content_type="application/json", delivery_mode=2, message_id=uuid4().hex, correlation_id=correlation_id
        )
        line = await self._lines.get()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                channel = await line.open_channel()
                await channel.basic_publish(body, routing_key=queue, properties=properties, mandatory=True)
        except (AMQPError, OSError, EOFError, RuntimeError, StopAsyncIteration) as error:
            await _fail(line, error)
        except asyncio.CancelledError as error:
            # aiormq cancels the tasks that wait for a connection that is lost
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            await _fail(line, error)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._lines.aclose()


class _Line:
    """A connection and its channel, on one event loop."""

    def __init__(self, urls: str, attempt_seconds: float) -> None:
        self._urls = broker_addresses(urls)
        self._attempt_seconds = attempt_seconds
        self._lock = asyncio.Lock()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None

    async def aclose(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await _closed(connection)

    async def open_channel(self) -> "AbstractChannel":
        async with self._lock:
            if self._channel is not None and not self._channel.is_closed:
                return self._channel
            await self.aclose()
            self._connection = await self._connect()
            self._channel = await self._connection.channel(publisher_confirms=True)
            return self._channel

    async def _connect(self) -> "AbstractConnection":
        """Connect to the first node that answers, in random order; the last error is raised if none does."""
        import aiormq
        from aiormq.exceptions import AMQPError

        *others, last = random.sample(self._urls, len(self._urls))
        for url in others:
            with suppress(AMQPError, OSError, EOFError, RuntimeError, StopAsyncIteration):
                async with asyncio.timeout(self._attempt_seconds):
                    return await aiormq.connect(url)
        return await aiormq.connect(last)


async def _fail(line: _Line, error: BaseException) -> NoReturn:
    await line.aclose()
    raise UnavailableError(f"the broker did not confirm the message: {error!r}") from error


async def _closed(connection: "AbstractConnection") -> None:
    try:
        async with asyncio.timeout(2):
            await connection.close()
    except Exception as error:  # noqa: BLE001  the connection is discarded in any case
        log.debug("the connection to the broker failed to close: %r", error)
