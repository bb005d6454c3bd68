"""Scaling signal: what waits for workers, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from faregate.core.clock import IClock
from faregate.core.messaging.interfaces import Backlog, ITransport
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.core.monitoring.heartbeats import Heartbeats
from faregate.wire.queues import PUBLIC_QUEUES

__all__ = ["QueueScaling", "ScalingSignal"]

_EPOCH = datetime.fromtimestamp(0, UTC)
_TENTH = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class ScalingSignal:
    """What autoscalers need to choose a number of workers.

    Attributes:
        waiting: messages in all queues, those in the outbox included.
        queues: the same by queue.
        lag_seconds: the age of the oldest waiting message; 0 if none waits, None if neither the queue nor a worker knows it.
        workers: workers with a heartbeat within 15 s.
    """

    waiting: int
    queues: Mapping[str, int]
    lag_seconds: Decimal | None
    workers: int


class QueueScaling:
    """Reads the queues; unlike the gauges it fails if one cannot be read, because a partial sum would remove workers."""

    def __init__(self, transport: ITransport, outbox: ITransport, heartbeats: Heartbeats, clock: IClock) -> None:
        self._places = [transport] if isinstance(transport, PostgresTransport) else [transport, outbox]
        self._heartbeats = heartbeats
        self._clock = clock

    async def signal(self) -> ScalingSignal:
        """Return the signal now.

        Raises:
            EngineUnavailableError: the queue or the database cannot be reached.
        """
        found = {queue: [await place.backlog(queue) for place in self._places] for queue in PUBLIC_QUEUES}
        progress = await self._heartbeats.progress()
        backlogs = [backlog for each in found.values() for backlog in each if backlog.depth]
        queues = {queue: sum(backlog.depth for backlog in each) for queue, each in found.items()}
        lag = self._lag(backlogs, progress.settled_until)
        return ScalingSignal(sum(queues.values()), queues, lag, progress.workers)

    def _lag(self, backlogs: list[Backlog], settled_until: datetime | None) -> Decimal | None:
        if not backlogs:
            return Decimal(0)
        known = [backlog.oldest_at for backlog in backlogs if backlog.oldest_at is not None]
        if len(known) < len(backlogs) and settled_until is not None and settled_until > _EPOCH:
            known.append(settled_until)
        if not known:
            return None
        return max(Decimal(0), Decimal(str((self._clock.now() - min(known)).total_seconds())).quantize(_TENTH))
