"""One tenant in the memory of a worker."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

from faregate.core.db.schedule import Schedule
from faregate.core.tenants.values import Tenant
from faregate.worker.consumer import Consumer
from faregate.worker.metrics import WorkerMetrics
from faregate.worker.reports.loop import ReportLoop
from faregate.worker.webhooks import WebhookDeliverer

__all__ = ["Make", "TenantWorker"]


@dataclass(frozen=True, slots=True, eq=False)
class TenantWorker:
    """One tenant in the memory of a worker.

    Attributes:
        consumers: those of the table `message`, which have turns.
        streams: those of RabbitMQ, which run by themselves; empty without it.
        reports: None without a mail server.
    """

    tenant: Tenant
    consumers: Sequence[Consumer]
    streams: Sequence[Consumer]
    schedule: Schedule
    webhooks: WebhookDeliverer
    reports: ReportLoop | None
    metrics: WorkerMetrics
    engines: AsyncExitStack

    async def streamed_until(self) -> datetime | None:
        """Return the moment before which everything published on RabbitMQ is settled; None without RabbitMQ."""
        moments = [await stream.settled_until() for stream in self.streams if stream.settles]
        return min(moments, default=None)

    async def consume(self, queues: Sequence[str], stop: asyncio.Event) -> bool:
        """Handle one batch of each of these queues; return whether more may wait."""
        more = [await consumer.consume_waiting(stop) for consumer in self.consumers if consumer.queue in queues]
        return any(more)


Make = Callable[[Tenant], Awaitable[TenantWorker]]
