"""RabbitMQ implementation of the message transport.

It has one connection per consumer, one to publish, and one for queries; or channels on connections that tenants share.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from uuid import uuid4
from weakref import WeakSet

from faregate.core.clock import IClock, SystemClock
from faregate.core.messaging.interfaces import Backlog, DeadLetterCursor, DeadMessage, IConsumer, OutgoingMessage
from faregate.core.messaging.rabbitmq.connection import RPC_SECONDS, Link, broker_errors
from faregate.core.messaging.rabbitmq.consumer import RabbitConsumer
from faregate.core.messaging.rabbitmq.dead_letters import DeadLetters
from faregate.core.messaging.rabbitmq.envelope import MESSAGE_ID, Envelope
from faregate.core.messaging.rabbitmq.names import QueueNames
from faregate.core.messaging.rabbitmq.nodes import Nodes
from faregate.core.messaging.rabbitmq.publisher import Publisher
from faregate.core.messaging.rabbitmq.shared_connections import SharedConnections
from faregate.core.messaging.rabbitmq.topology import DEAD_QUEUE, QueueType, Topology
from faregate.wire.queues import RETRY_DELAYS_SECONDS

__all__ = ["RabbitTransport"]

_PREFETCH_MAX = 2000
"""Maximum that quorum queues allow."""


class RabbitTransport:
    """`ITransport` on RabbitMQ 3.10 to 4.x."""

    def __init__(
        self,
        url: str,
        *,
        queue_type: QueueType = "quorum",
        prefetch: int = 500,
        clock: IClock | None = None,
        retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS,
        names: QueueNames | None = None,
        shared: SharedConnections | None = None,
    ) -> None:
        """`url`: of one node, or of several, separated by commas. `prefetch`: messages sent to one consumer in advance; twice its
        batch size keeps it busy. `shared`: connections to have channels on, instead of connections of its own.
        """
        self._names = names or QueueNames()
        self._prefetch = min(prefetch, _PREFETCH_MAX)
        self._clock = clock or SystemClock()
        self._nodes = shared or Nodes(url, self._clock)
        self._delays = retry_delays_seconds
        self._topology = Topology(queue_type, retry_delays_seconds, self._names)
        self._publisher = Publisher(
            lambda: self._nodes.open_link("faregate publisher", confirms=True),
            self._topology,
            confirm_seconds=self._nodes.confirm_seconds,
        )
        self._dead = DeadLetters(
            lambda: self._established("faregate dead letters"), self._publisher, self._clock, self._names
        )
        self._consumers: WeakSet[RabbitConsumer] = WeakSet()
        self._empty_at: dict[str, datetime] = {}
        self._query_link: Link | None = None
        self._query_lock = asyncio.Lock()

    async def open(self) -> None:
        await self._publisher.open()

    async def close(self) -> None:
        await self._publisher.close()
        link, self._query_link = self._query_link, None
        if link is not None:
            await link.close()

    async def publish(self, queue: str, messages: Sequence[OutgoingMessage]) -> None:
        now = self._clock.now()
        await self._publisher.publish(
            [
                Envelope(
                    self._names.on_broker(queue),
                    message.body,
                    {MESSAGE_ID: uuid4().hex, **message.headers},
                    published_at=now,
                )
                for message in messages
            ]
        )

    async def consume(self, queue: str) -> IConsumer:
        link = await self._established(f"faregate consumer of {queue}")
        consumer = RabbitConsumer(link, queue, self._publisher, self._clock, self._delays, self._names)
        try:
            await consumer.begin(self._prefetch)
        except BaseException:
            await consumer.close()
            raise
        self._consumers.add(consumer)
        return consumer

    async def backlog(self, queue: str) -> Backlog:
        """Return what waits in `queue` or is undecided in this process; messages held by other consumers are not counted.

        RabbitMQ does not report the age of waiting messages, and reading one would mark it as redelivered. But a queue is first in,
        first out: waiting messages are younger than the one received last, and than the last time the queue was found empty.
        """
        asked_at = self._clock.now()
        waiting = await self._waiting(queue)
        mine = [consumer for consumer in self._consumers if consumer.queue == queue]
        held = [delivery.published_at for consumer in mine for delivery in consumer.undecided]
        if waiting == 0 and not held:
            self._empty_at[queue] = asked_at
            return Backlog(0, None)
        marks = [self._empty_at.get(queue), *(consumer.newest_at for consumer in mine)]
        younger_than = max((mark for mark in marks if mark is not None), default=None)
        bounds = [at or self._empty_at.get(queue) for at in held] + ([younger_than] if waiting else [])
        known = [at for at in bounds if at is not None]
        return Backlog(waiting + len(held), min(known) if len(known) == len(bounds) else None)

    def dead_letters(
        self, *, queue: str | None = None, after: DeadLetterCursor | None = None
    ) -> AsyncIterator[DeadMessage]:
        return self._dead.read(queue, after)

    async def count_dead(self) -> int:
        return await self._waiting(DEAD_QUEUE)

    async def replay(self, ids: Sequence[str]) -> int:
        return await self._dead.replay(ids)

    async def drop(self, ids: Sequence[str]) -> int:
        return await self._dead.drop(ids)

    async def check(self) -> None:
        """Connect once, and declare nothing; raises `EngineUnavailableError`."""
        link = await self._nodes.open_link("faregate", confirms=False)
        await link.close()

    async def remove_queues(self) -> None:
        """Delete all queues of this transport with their messages, when a tenant is deleted. Safe to repeat."""
        link = await self._nodes.open_link("faregate", confirms=False)
        try:
            await self._topology.remove(link.connection)
        finally:
            await link.close()

    async def _waiting(self, queue: str) -> int:
        async with self._query_lock:
            try:
                if self._query_link is None or self._query_link.lost:
                    self._query_link = await self._established("faregate")
                async with broker_errors(f"reading the depth of {queue}"):
                    asked = await self._query_link.channel.queue_declare(
                        self._names.on_broker(queue), passive=True, timeout=RPC_SECONDS
                    )
            except BaseException:
                link, self._query_link = self._query_link, None
                if link is not None:
                    await link.close()
                raise
        return asked.message_count or 0

    async def _established(self, name: str) -> Link:
        """Return a new connection to a broker on which the public queues exist."""
        link = await self._nodes.open_link(name, confirms=False)
        try:
            await self._topology.establish(link.connection)
        except BaseException:
            await link.close()
            raise
        return link
