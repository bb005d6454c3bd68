"""Process of a worker that works for many tenants."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from faregate.core.settings import Settings
from faregate.core.tenants.values import Tenant
from faregate.credit.services.ledger_session import TOP_UP_QUEUE
from faregate.host.tenancy.container import tenant_container
from faregate.host.tenancy.engines import SharedEngines
from faregate.wire.queues import PUBLIC_QUEUES, SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE
from faregate.worker.consumer import Consumer
from faregate.worker.container import WorkerContainer
from faregate.worker.tenancy.held import TenantWorker
from faregate.worker.tenancy.holding import Holding
from faregate.worker.tenancy.metrics import TenantsMetrics
from faregate.worker.tenancy.probing import Probing
from faregate.worker.tenancy.worker import TenantsWorker

__all__ = ["run_tenants_worker"]

_QUEUES = (*PUBLIC_QUEUES, TOP_UP_QUEUE)
_SETTLING = (SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE)


async def run_tenants_worker(
    settings: Settings, stop: asyncio.Event, *, on_ready: Callable[[Sequence[str]], None] | None = None
) -> None:
    """Run the worker until `stop` is set; open and close the engines.

    Raises:
        EngineUnavailableError: the database is unavailable at the start.
    """
    deployment = WorkerContainer(settings=settings)
    deployment.check_dependencies()
    engines = SharedEngines(deployment)
    holding = Holding(lambda tenant: _made(deployment, tenant, engines))
    probing = Probing(deployment.database(), _QUEUES, _SETTLING)
    worker = TenantsWorker(
        deployment.tenants(),
        holding,
        probing,
        engines.wake_ups,
        width=max(1, settings.db_pool_size // 2),
        streams=settings.broker_url is not None,
    )
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(deployment.engines())
        opened.push_async_callback(engines.close)
        if on_ready is not None:
            on_ready(_QUEUES)
        async with asyncio.TaskGroup() as tasks:
            _probe(deployment, holding, opened, tasks, stop)
            tasks.create_task(worker.run(stop))


async def _made(deployment: WorkerContainer, tenant: Tenant, shared: SharedEngines) -> TenantWorker:
    container = tenant_container(WorkerContainer, deployment, tenant, shared)
    engines = AsyncExitStack()
    await engines.enter_async_context(container.engines())
    in_table = [each for each in container.consumers() if each.takes_from(container.outbox())]
    streams = [each for each in container.consumers() if each not in in_table]
    if container.settings().broker_url is None:
        in_table, streams = [*in_table, *streams], []
    await engines.enter_async_context(_running(streams))
    return TenantWorker(
        tenant,
        _one_each(in_table),
        streams,
        container.schedule(),
        container.deliverer(),
        container.report_loop() if container.report_mailer().configured else None,
        container.metrics(),
        engines,
    )


@asynccontextmanager
async def _running(streams: Sequence[Consumer]) -> AsyncGenerator[None]:
    """Consume from RabbitMQ until the block ends; finish the batches in hand."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(stream.run(stop)) for stream in streams]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks, return_exceptions=True)


def _one_each(consumers: Sequence[Consumer]) -> Sequence[Consumer]:
    """Return one consumer for each queue: a tenant has one turn at a time."""
    return list({consumer.queue: consumer for consumer in reversed(consumers)}.values())


def _probe(
    deployment: WorkerContainer,
    holding: Holding,
    opened: AsyncExitStack,
    tasks: asyncio.TaskGroup,
    stop: asyncio.Event,
) -> None:
    """Answer probes and metrics if the settings name a port for them."""
    settings = deployment.settings()
    if settings.worker_port is None:
        return
    from faregate.worker.probes import Probes

    probes = Probes(
        settings.host, settings.worker_port, deployment.database(), [], TenantsMetrics(holding), deployment.clock()
    )
    opened.callback(probes.close)
    tasks.create_task(probes.run(stop))
