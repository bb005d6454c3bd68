"""Consumer of one queue, on a connection of its own.

Messages are put into an inbox as they arrive (see `frame_reader`), and taken from there. Acknowledgements are cumulative and
sent last, after the copies of messages to be retried or dead-lettered are confirmed; a lost acknowledgement means one more
delivery, nothing else.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiormq.abc import DeliveredMessage

from faregate.core.clock import IClock
from faregate.core.errors import BrokerUnavailableError, EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.core.messaging.interfaces import Ack, DeadLetter, Decision, Delivery
from faregate.core.messaging.rabbitmq.connection import RPC_SECONDS, Link, broker_errors
from faregate.core.messaging.rabbitmq.envelope import Envelope, dead_headers, delivery_of, retry_headers, unreadable
from faregate.core.messaging.rabbitmq.names import QueueNames
from faregate.core.messaging.rabbitmq.publisher import Publisher
from faregate.core.messaging.rabbitmq.received import Received
from faregate.core.messaging.rabbitmq.topology import DEAD_QUEUE, retry_queue
from faregate.core.runtime.failpoints import failpoint
from faregate.wire.queues import kept_reason

__all__ = ["RabbitConsumer"]

log = get_logger(__name__)

_GATHER_SECONDS = 0.01
"""How long the first message waits for more: a batch costs little more than one message."""


class RabbitConsumer:
    """`IConsumer` on a RabbitMQ queue; once its connection is lost it only raises, and its caller creates a new one."""

    def __init__(
        self,
        link: Link,
        queue: str,
        publisher: Publisher,
        clock: IClock,
        retry_delays_seconds: Sequence[float],
        names: QueueNames,
    ) -> None:
        self.queue = queue
        self._names = names
        self.newest_at: datetime | None = None
        self._link = link
        self._publisher = publisher
        self._clock = clock
        self._delays = retry_delays_seconds
        self._inbox: deque[Delivery] = deque()
        self._unreadable: deque[tuple[Delivery, DeadLetter]] = deque()
        self._undecided: dict[int, Delivery] = {}
        self._arrived = asyncio.Event()
        self._problem: str | None = None
        self._tag = ""

    async def begin(self, prefetch: int) -> None:
        """Start consuming, with up to `prefetch` messages in advance."""
        channel = self._link.channel
        channel.on_consumer_cancel_callbacks.add(self._cancelled)
        self._link.on_lost(lambda: self._discard("the connection was lost"))
        self._link.deliver_to(self._receive)
        async with broker_errors(f"consuming {self.queue}"):
            await channel.basic_qos(prefetch_count=prefetch, timeout=RPC_SECONDS)
            consumed = await channel.basic_consume(self._names.on_broker(self.queue), _unused, timeout=RPC_SECONDS)
            self._tag = str(consumed.consumer_tag)

    @property
    def undecided(self) -> Sequence[Delivery]:
        """The messages that this consumer has received and not decided, oldest first."""
        return [] if self._problem else list(self._undecided.values())

    async def take(self, limit: int, *, wait_seconds: float) -> Sequence[Delivery]:
        if not self._inbox and not self._unreadable and self._problem is None:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), wait_seconds)
            if 0 < len(self._inbox) < limit:
                await asyncio.sleep(_GATHER_SECONDS)
        self._check()
        await self._dead_letter_unreadable()
        return tuple(self._inbox.popleft() for _ in range(min(limit, len(self._inbox))))

    async def _dead_letter_unreadable(self) -> None:
        """Dead-letter messages whose headers cannot be decoded: the headers may identify the message and who pays for it."""
        while self._unreadable:
            found = [self._unreadable.popleft() for _ in range(len(self._unreadable))]
            log.warning("message_unreadable", queue=self.queue, count=len(found), reason=found[0][1].reason)
            await self.decide(found)

    async def decide(self, decisions: Sequence[tuple[Delivery, Decision]]) -> None:
        self._check()
        if any(delivery.token[0] is not self._link.channel for delivery, _ in decisions):
            raise BrokerUnavailableError(
                "RabbitMQ: the connection of these messages is closed; they are delivered again"
            )
        copies = [self._copy(delivery, decision) for delivery, decision in decisions if not isinstance(decision, Ack)]
        if copies:
            await self._publisher.publish(copies)
            failpoint("copied")
        self._check()
        async with broker_errors("acknowledging"):
            await self._acknowledge([delivery.token[1] for delivery, _ in decisions])

    async def close(self) -> None:
        if not self._link.lost and self._problem is None:
            with contextlib.suppress(EngineUnavailableError):
                async with broker_errors("leaving the queue"):
                    await self._link.channel.basic_cancel(self._tag, timeout=RPC_SECONDS)
        self._discard("the consumer is closed")
        await self._link.close()

    async def _acknowledge(self, tags: Sequence[int]) -> None:
        """Acknowledge all tags below the first undecided one: one acknowledgement covers all tags up to it."""
        for tag in tags:
            self._undecided.pop(tag, None)
        floor = next(iter(self._undecided), None)
        covered = [tag for tag in tags if floor is None or tag < floor]
        failpoint("acknowledging")
        async with asyncio.timeout(RPC_SECONDS):
            if covered:
                await self._link.channel.basic_ack(max(covered), multiple=True)
            for tag in set(tags).difference(covered):
                await self._link.channel.basic_ack(tag)
        failpoint("acknowledged")

    def _copy(self, delivery: Delivery, decision: Decision) -> Envelope:
        tried_enough = delivery.attempt > len(self._delays)
        if isinstance(decision, DeadLetter) or tried_enough:
            reason = kept_reason(getattr(decision, "reason", ""))
            reason = reason if isinstance(decision, DeadLetter) else f"{reason} (after {delivery.attempt} attempts)"
            headers = dead_headers(delivery, reason, self._clock.now())
            return Envelope(
                self._names.on_broker(DEAD_QUEUE),
                delivery.body,
                headers,
                published_at=delivery.published_at,
                theirs=delivery.token[2],
            )
        waiting = self._names.on_broker(retry_queue(self._delays[delivery.attempt - 1]))
        return Envelope(
            self._names.on_broker(self.queue),
            delivery.body,
            retry_headers(delivery),
            exchange=waiting,
            published_at=delivery.published_at,
            theirs=delivery.token[2],
        )

    def _receive(self, messages: Sequence[Received]) -> None:
        now = self._clock.now()
        for message in messages:
            self._take_in(message, delivery_of(self.queue, message, self._link.channel, now))
        self._arrived.set()

    def _take_in(self, message: Received, delivery: Delivery) -> None:
        self._undecided[message.tag] = delivery
        why = unreadable(message)
        if why is None:
            self._inbox.append(delivery)
        else:
            self._unreadable.append((delivery, DeadLetter(f"unreadable: {why}")))
        published_at = delivery.published_at
        if published_at is None or delivery.redelivered:
            return
        if self.newest_at is None or published_at > self.newest_at:
            self.newest_at = published_at

    def _cancelled(self, _frame: Any) -> None:
        self._discard("the broker cancelled the consumer; was the queue deleted?")

    def _discard(self, problem: str) -> None:
        """Discard what was received: it is delivered again, on another connection."""
        self._problem = self._problem or problem
        self._inbox.clear()
        self._unreadable.clear()
        self._arrived.set()

    def _check(self) -> None:
        if self._problem is not None:
            raise BrokerUnavailableError(f"RabbitMQ: {self.queue}: {self._problem}")


async def _unused(_message: DeliveredMessage) -> None:
    """Callback that aiormq requires; it sees no deliveries."""
