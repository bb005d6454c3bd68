"""Gauges of the deployment, read at the time of the request.

They complement the counters that each process keeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from math import inf
from typing import Protocol

from faregate.core.clock import IClock
from faregate.core.errors import FaregateError
from faregate.core.messaging.dead_letters import DeadLetterService
from faregate.core.messaging.interfaces import Backlog, ITransport
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.core.monitoring.heartbeats import Heartbeats
from faregate.wire.queues import PUBLIC_QUEUES

__all__ = ["Gauge", "IGauges", "QueueGauges"]

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Gauge:
    """One value under a Prometheus metric name."""

    name: str
    description: str
    value: float | Decimal
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


class IGauges(Protocol):
    """A source of gauges."""

    async def gauges(self) -> Sequence[Gauge]:
        """Return the gauges that can be read now; those of an unavailable engine are left out."""
        ...


class QueueGauges:
    """Queue depth and age, dead letters, and the progress of the workers."""

    def __init__(
        self,
        transport: ITransport,
        outbox: PostgresTransport,
        dead_letters: DeadLetterService,
        heartbeats: Heartbeats,
        clock: IClock,
    ) -> None:
        self._transport = transport
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._heartbeats = heartbeats
        self._clock = clock

    async def gauges(self) -> Sequence[Gauge]:
        found = await self._waiting("queue", self._transport)
        if not isinstance(self._transport, PostgresTransport):
            found += await self._waiting("outbox", self._outbox)
        for read in (self._dead, self._workers):
            try:
                found += await read()
            except FaregateError:
                continue  # the engine is unavailable; /readyz reports it
        return found

    async def _waiting(self, place: str, transport: ITransport) -> list[Gauge]:
        found: list[Gauge] = []
        for queue in PUBLIC_QUEUES:
            try:
                found += self._of(place, queue, await transport.backlog(queue))
            except FaregateError:
                continue
        return found

    def _of(self, place: str, queue: str, backlog: Backlog) -> list[Gauge]:
        labels = {"queue": queue}
        found = [Gauge(f"faregate_{place}_messages", "Messages that wait", backlog.depth, labels)]
        if backlog.depth and backlog.oldest_at is None:
            return found
        age = (self._clock.now() - backlog.oldest_at).total_seconds() if backlog.oldest_at is not None else 0.0
        oldest = "Age of the oldest waiting message, if this process knows it"
        return [*found, Gauge(f"faregate_{place}_oldest_seconds", oldest, max(0.0, age), labels)]

    async def _dead(self) -> list[Gauge]:
        count = await self._dead_letters.count()
        return [Gauge("faregate_dead_letters", "Messages set aside for an operator", count)]

    async def _workers(self) -> list[Gauge]:
        progress = await self._heartbeats.progress()
        found = [Gauge("faregate_workers", "Workers that reported within 15 s", progress.workers)]
        if progress.settled_until is None:
            return found
        behind = (self._clock.now() - progress.settled_until).total_seconds()
        lag = inf if progress.settled_until <= _EPOCH else max(0.0, behind)
        oldest = "Age of the oldest message that is not settled, as reported by the workers; +Inf while unknown"
        return [*found, Gauge("faregate_settlement_lag_seconds", oldest, lag)]
