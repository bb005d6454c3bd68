"""Composition root of the worker: the only place here that sees all libraries."""

from collections.abc import Sequence

from dependency_injector import containers, providers

from faregate.analytics.container import AnalyticsContainer
from faregate.analytics.quotas.container import QuotasContainer
from faregate.analytics.quotas.interfaces import IAlertChannel
from faregate.core.clock import IClock
from faregate.core.container import CoreContainer
from faregate.core.db.database import Database
from faregate.core.db.schedule import Job, Schedule
from faregate.core.messaging.interfaces import ITransport
from faregate.core.monitoring.heartbeats import Heartbeats
from faregate.core.settings import Settings
from faregate.credit.container import CreditContainer
from faregate.credit.services.ledger_session import TOP_UP_QUEUE
from faregate.feature_log.container import FeatureLogContainer
from faregate.usage.container import UsageContainer
from faregate.usage.interfaces import IFeatureStrategy
from faregate.wire.queues import (
    FEATURE_LOG_QUEUE,
    PUBLIC_QUEUES,
    SETTLE_MULTIMODEL_QUEUE,
    SETTLE_QUEUE,
    USAGE_EVENTS_QUEUE,
)
from faregate.worker.channels.factory import make_channels
from faregate.worker.consumer import Consumer
from faregate.worker.handlers.feature_logs import FeatureLogHandler
from faregate.worker.handlers.relay import RelayHandler
from faregate.worker.handlers.settlement import SettlementHandler
from faregate.worker.handlers.top_up import TopUpHandler
from faregate.worker.handlers.usage_events import UsageEventHandler
from faregate.worker.jobs import make_jobs
from faregate.worker.metering import metering_jobs
from faregate.worker.metrics import WorkerMetrics
from faregate.worker.webhooks import WebhookDeliverer
from faregate.worker.worker import ILoop, Worker

__all__ = ["WorkerContainer"]

_TOP_UPS_AT_ONCE = 10
_BATCHES_AT_ONCE = 2
"""While the database writes one batch, the next one is prepared; the order of messages does not matter."""


def make_consumers(
    transport: ITransport,
    outbox: ITransport,
    settlement: SettlementHandler,
    top_ups: TopUpHandler,
    logs: FeatureLogHandler,
    events: UsageEventHandler,
    clock: IClock,
    metrics: WorkerMetrics,
    batch_size: int,
    broker_url: str | None,
) -> Sequence[Consumer]:
    """Return a consumer per queue: the public ones of the transport, and what the ledger asks for in its outbox.

    With a broker, what lies in the outbox for a public queue is relayed to it.
    """
    relay = RelayHandler(transport)
    relayed = PUBLIC_QUEUES if broker_url is not None else ()
    return [
        *(
            Consumer(transport, queue, settlement.handle, clock, metrics=metrics, batch_size=batch_size, settles=True)
            for queue in (SETTLE_MULTIMODEL_QUEUE, SETTLE_QUEUE)
        ),
        *(
            Consumer(outbox, queue, relay.handle, clock, metrics=metrics, batch_size=batch_size, settles=True)
            for queue in relayed
        ),
        Consumer(outbox, TOP_UP_QUEUE, top_ups.handle, clock, metrics=metrics, batch_size=_TOP_UPS_AT_ONCE),
        *(
            Consumer(transport, queue, handle, clock, metrics=metrics, batch_size=batch_size)
            for queue, handle in ((FEATURE_LOG_QUEUE, logs.handle), (USAGE_EVENTS_QUEUE, events.handle))
            for _ in range(_BATCHES_AT_ONCE)
        ),
    ]


def make_probes(
    settings: Settings, database: Database, consumers: Sequence[Consumer], metrics: WorkerMetrics, clock: IClock
) -> Sequence[ILoop]:
    """Return the server of health and metrics if the settings give it a port, else nothing."""
    if settings.worker_port is None:
        return []
    from faregate.worker.probes import Probes

    return [Probes(settings.host, settings.worker_port, database, consumers, metrics, clock)]


def make_worker(
    consumers: Sequence[Consumer],
    schedule: Schedule,
    heartbeats: Heartbeats,
    deliverer: WebhookDeliverer,
    probes: Sequence[ILoop],
) -> Worker:
    """Return all that one worker process runs."""
    return Worker(consumers, schedule, heartbeats, loops=[deliverer, *probes])


class WorkerContainer(containers.DeclarativeContainer):
    """Needs `settings`; takes `extra_strategies`; exports `worker` and the libraries' containers."""

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    extra_strategies: providers.Provider[dict[str, IFeatureStrategy]] = providers.Dependency(
        instance_of=dict, default=providers.Dict()
    )

    core = providers.Container(CoreContainer, settings=settings)
    credit = providers.Container(
        CreditContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        outbox=core.container.outbox,
        announcer=core.container.announcer,
        progress=core.container.heartbeats,
    )
    analytics = providers.Container(
        AnalyticsContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        clock=core.container.clock,
    )
    channels: providers.Provider[Sequence[IAlertChannel]] = providers.Singleton(
        make_channels, settings, core.container.clock
    )
    quotas = providers.Container(
        QuotasContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        clock=core.container.clock,
        channels=channels,
        announcer=core.container.announcer,
    )
    usage = providers.Container(
        UsageContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        credit=credit.container.service,
        clock=core.container.clock,
        hold_history=analytics.container.hold_history,
        extra_strategies=extra_strategies,
        quotas=quotas.container.gate,
    )

    feature_log = providers.Container(
        FeatureLogContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        clock=core.container.clock,
        names=usage.container.catalog,
    )

    feature_logs: providers.Provider[FeatureLogHandler] = providers.Singleton(
        FeatureLogHandler,
        feature_log.container.service,
        core.container.transport,
        feature_log.container.redactor,
        core.container.ring,
    )
    metrics: providers.Provider[WorkerMetrics] = providers.Singleton(
        WorkerMetrics, providers.List(core.container.figures, credit.container.figures)
    )
    settlement: providers.Provider[SettlementHandler] = providers.Singleton(
        SettlementHandler, usage.container.service, core.container.transport, metrics
    )
    usage_events: providers.Provider[UsageEventHandler] = providers.Singleton(
        UsageEventHandler, usage.container.recorder, core.container.transport
    )
    top_ups: providers.Provider[TopUpHandler] = providers.Singleton(TopUpHandler, credit.container.top_ups)
    consumers: providers.Provider[Sequence[Consumer]] = providers.Singleton(
        make_consumers,
        core.container.transport,
        core.container.outbox,
        settlement,
        top_ups,
        feature_logs,
        usage_events,
        core.container.clock,
        metrics,
        settings.provided.settle_batch_size,
        settings.provided.broker_url,
    )
    metering: providers.Provider[Sequence[Job]] = providers.Singleton(
        metering_jobs,
        quotas.container.service,
        quotas.container.deliverer,
        analytics.container.roller,
        analytics.container.archive,
    )
    jobs: providers.Provider[Sequence[Job]] = providers.Singleton(
        make_jobs,
        core.container.database,
        credit.container.service,
        core.container.idempotency,
        usage.container.upkeep,
        feature_log.container.retention,
        metering,
    )
    schedule: providers.Provider[Schedule] = providers.Singleton(
        Schedule, core.container.database, core.container.clock, jobs
    )
    deliverer: providers.Provider[WebhookDeliverer] = providers.Singleton(
        WebhookDeliverer, core.container.database, core.container.egress, core.container.clock, ring=core.container.ring
    )
    probes: providers.Provider[Sequence[ILoop]] = providers.Singleton(
        make_probes, settings, core.container.database, consumers, metrics, core.container.clock
    )
    worker: providers.Provider[Worker] = providers.Singleton(
        make_worker, consumers, schedule, core.container.heartbeats, deliverer, probes
    )
