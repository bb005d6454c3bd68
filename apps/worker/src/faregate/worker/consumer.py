"""Consumer loop of one queue.

It fetches a batch and acknowledges its messages only after they are handled.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from faregate.core.clock import IClock
from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import get_logger
from faregate.core.messaging.interfaces import DeadLetter, Decision, Delivery, IConsumer, ITransport, RetryLater
from faregate.core.runtime.failpoints import failpoint
from faregate.worker.metrics import WorkerMetrics

__all__ = ["Consumer"]

log = get_logger(__name__)

_IDLE_SECONDS = 1.0
_PAUSE_SECONDS_MAX = 5.0
"""Longest pause before the next attempt: what waits is settled soon after the engine is back, however long it was away."""
_UNKNOWN = datetime.fromtimestamp(0, UTC)
"""The moment to report while the age of waiting messages is unknown: no hold may expire because of it."""

Handler = Callable[[Sequence[Delivery]], Awaitable[Sequence[tuple[Delivery, Decision]]]]


class Consumer:
    """Consumes one queue until it is stopped; continues after the broker or the database was unavailable.

    While the database is unavailable it keeps the fetched messages and tries again with growing pauses: no message is
    returned because of that, so none is counted as failed.

    `settles` tells whether holds must not expire while messages wait on this queue; `problem` is the reason if it is stalled.
    """

    def __init__(
        self,
        transport: ITransport,
        queue: str,
        handle: Handler,
        clock: IClock,
        *,
        batch_size: int,
        metrics: WorkerMetrics,
        settles: bool = False,
    ) -> None:
        self.queue = queue
        self.settles = settles
        self.problem: str | None = None
        self._transport = transport
        self._handle = handle
        self._clock = clock
        self._batch_size = batch_size
        self._metrics = metrics
        self._in_hand: Sequence[Delivery] = ()
        self._interruptions = 0

    def takes_from(self, transport: ITransport) -> bool:
        """Return whether its queue is one of `transport`."""
        return self._transport is transport

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, and finish the current batch."""
        while not stop.is_set():
            try:
                await self._consume(stop)
            except EngineUnavailableError as error:
                self._interruptions += 1
                self._note_problem(error)
                log.warning("consumer_interrupted", queue=self.queue, reason=error.detail)
                await _pause(stop, self._interruptions)

    async def settled_until(self) -> datetime:
        """Return the moment before which everything published on this queue has been handled."""
        now = self._clock.now()
        backlog = await self._transport.backlog(self.queue)
        if backlog.depth and backlog.oldest_at is None:
            return _UNKNOWN
        waiting = [delivery.published_at for delivery in self._in_hand if delivery.published_at is not None]
        return min([now, *waiting, *([backlog.oldest_at] if backlog.oldest_at else [])])

    async def consume_waiting(self, stop: asyncio.Event) -> bool:
        """Handle one batch of the messages that wait now; return whether more may wait. For a worker that has many queues.

        Raises:
            EngineUnavailableError: the broker or the database is unavailable; the messages are delivered again.
        """
        consumer = await self._transport.consume(self.queue)
        try:
            return await self._handle_batch(consumer, stop, wait_seconds=0) == self._batch_size
        finally:
            await self._leave(consumer)

    async def _consume(self, stop: asyncio.Event) -> None:
        consumer = await self._transport.consume(self.queue)
        try:
            while not stop.is_set():
                if await self._handle_batch(consumer, stop, wait_seconds=_IDLE_SECONDS) is None:
                    return
        finally:
            await self._leave(consumer)

    async def _handle_batch(self, consumer: IConsumer, stop: asyncio.Event, *, wait_seconds: float) -> int | None:
        """Handle one batch and return its size; None if it could not be handled before `stop` was set."""
        self._in_hand = await consumer.take(self._batch_size, wait_seconds=wait_seconds)
        self._interruptions, self.problem = 0, None
        if not self._in_hand:
            return 0
        failpoint("taken")
        began = self._clock.monotonic()
        decisions = await self._handled(stop)
        if decisions is None:
            return None
        failpoint("handled")
        await self._let_go(consumer, decisions)
        self._metrics.handled(self.queue, decisions, self._clock.monotonic() - began)
        return len(decisions)

    async def _leave(self, consumer: IConsumer) -> None:
        self._in_hand = ()
        with contextlib.suppress(EngineUnavailableError):
            await consumer.close()

    async def _handled(self, stop: asyncio.Event) -> Sequence[tuple[Delivery, Decision]] | None:
        pauses = 0
        while True:
            try:
                return await self._handle(self._in_hand)
            except EngineUnavailableError as error:
                pauses += 1
                self._note_problem(error)
                log.warning("batch_waits", queue=self.queue, size=len(self._in_hand), reason=error.detail)
                await _pause(stop, pauses)
                if stop.is_set():
                    return None

    def _note_problem(self, error: EngineUnavailableError) -> None:
        self.problem = error.detail
        self._metrics.interrupted(self.queue)

    async def _let_go(self, consumer: IConsumer, decisions: Sequence[tuple[Delivery, Decision]]) -> None:
        await consumer.decide(decisions)
        for delivery, decision in decisions:
            if isinstance(decision, DeadLetter | RetryLater):
                log.warning(
                    "message_not_settled",
                    queue=self.queue,
                    message_id=delivery.message_id,
                    decision=type(decision).__name__,
                    reason=decision.reason,
                    attempt=delivery.attempt,
                )


async def _pause(stop: asyncio.Event, times: int) -> None:
    seconds = min(_PAUSE_SECONDS_MAX, 0.1 * 2 ** min(times, 10)) * random.uniform(0.5, 1)  # noqa: S311
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
