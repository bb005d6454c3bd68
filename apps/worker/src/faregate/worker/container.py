"""Composition root of the worker.

It is the only module of the worker that imports all libraries.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dependency_injector import providers

from faregate.analytics.insights.container import InsightsContainer
from faregate.analytics.insights.operations.container import OperationsContainer
from faregate.analytics.quotas.container import QuotasContainer
from faregate.analytics.quotas.interfaces import IAlertChannel
from faregate.analytics.reports.delivering import ReportDeliverer
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.schedule import Job, Schedule
from faregate.core.messaging.interfaces import ITransport
from faregate.core.monitoring.heartbeats import Heartbeats
from faregate.core.settings import Settings
from faregate.credit.services.ledger_session import TOP_UP_QUEUE
from faregate.host.container import FaregateContainer
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
from faregate.worker.reports.loop import ReportLoop
from faregate.worker.reports.mailer import SmtpReportMailer, make_report_mailer
from faregate.worker.webhooks import WebhookDeliverer
from faregate.worker.worker import ILoop, Worker

if TYPE_CHECKING:
    from faregate.worker.probes import Probes

__all__ = ["WorkerContainer"]

_TOP_UPS_AT_ONCE = 10
_BATCHES_AT_ONCE = 2
"""The next batch is prepared while the database writes one; the order of messages does not matter."""


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
    """Return one consumer for each queue: the public queues of the transport, and the queues of the ledger's outbox.

    With a broker, messages of the outbox for a public queue are relayed to it.
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
) -> "Sequence[Probes]":
    """Return the server of health and metrics if the settings name its port, else an empty list."""
    if settings.worker_port is None:
        return []
    from faregate.worker.probes import Probes

    return [Probes(settings.host, settings.worker_port, database, consumers, metrics, clock)]


def make_worker(
    consumers: Sequence[Consumer],
    schedule: Schedule,
    heartbeats: Heartbeats,
    deliverer: WebhookDeliverer,
    reports: ReportLoop,
    mailer: SmtpReportMailer,
    probes: Sequence[ILoop],
) -> Worker:
    """Return all tasks of one worker process; without a mail server it leaves reports to others."""
    return Worker(
        consumers, schedule, heartbeats, loops=[deliverer, *([reports] if mailer.configured else []), *probes]
    )


host = FaregateContainer


class WorkerContainer(FaregateContainer):
    """Needs `settings`; takes what `FaregateContainer` takes; adds `worker`, and the alert channels of the settings."""

    channels: providers.Provider[Sequence[IAlertChannel]] = providers.Singleton(
        make_channels, host.settings, host.clock
    )
    quotas = providers.Container(
        QuotasContainer,
        settings=host.settings,
        database=host.database,
        subjects=host.subjects,
        clock=host.clock,
        channels=channels,
        announcer=host.announcer,
    )
    quota_service = quotas.container.service
    alert_deliverer = quotas.container.deliverer
    alert_tester = quotas.container.tester

    insights = providers.Container(
        InsightsContainer,
        settings=host.settings,
        database=host.database,
        subjects=host.subjects,
        clock=host.clock,
        facts=host.analytics.container.facts,
        models=host.analytics.container.known_models,
        archived=host.analytics.container.archived,
        analytics=host.questions,
        quotas=quota_service,
        catalog=host.catalog,
        prices=host.price_service,
        redactor=host.redactor,
        sentiment=host.sentiment,
        channels=channels,
    )
    forecasts = insights.container.forecasts
    anomalies = insights.container.anomalies
    customers = insights.container.customers
    run_outs = insights.container.run_outs
    costs = insights.container.costs
    budgets = insights.container.budgets
    feedback = insights.container.feedback
    insight_jobs = insights.container.jobs

    operations = providers.Container(
        OperationsContainer,
        settings=host.settings,
        database=host.database,
        clock=host.clock,
        facts=host.analytics.container.facts,
        models=host.analytics.container.known_models,
        catalog=host.catalog,
        corrections=host.corrections,
        keeper=insights.container.keeper,
        reader=insights.container.reader,
        repository=insights.container.repository,
        channels=channels,
    )
    objectives = operations.container.objectives
    incidents = operations.container.incidents
    incident_refunds = operations.container.incident_refunds
    capacity = operations.container.capacity
    operations_jobs = operations.container.jobs

    feature_logs: providers.Provider[FeatureLogHandler] = providers.Singleton(
        FeatureLogHandler,
        host.logs,
        host.transport,
        host.redactor,
        host.ring,
    )
    metrics: providers.Provider[WorkerMetrics] = providers.Singleton(
        WorkerMetrics,
        providers.List(host.core.container.gauges, host.core.container.replica_gauges, host.credit.container.gauges),
    )
    settlement: providers.Provider[SettlementHandler] = providers.Singleton(
        SettlementHandler, host.usage_service, host.transport, metrics
    )
    usage_events: providers.Provider[UsageEventHandler] = providers.Singleton(
        UsageEventHandler, host.recorder, host.transport
    )
    top_up_handler: providers.Provider[TopUpHandler] = providers.Singleton(TopUpHandler, host.top_ups)
    consumers: providers.Provider[Sequence[Consumer]] = providers.Singleton(
        make_consumers,
        host.transport,
        host.outbox,
        settlement,
        top_up_handler,
        feature_logs,
        usage_events,
        host.clock,
        metrics,
        host.settings.provided.settle_batch_size,
        host.settings.provided.broker_url,
    )
    report_mailer: providers.Provider[SmtpReportMailer] = providers.Singleton(make_report_mailer, host.settings)
    report_deliverer: providers.Provider[ReportDeliverer] = providers.Singleton(
        ReportDeliverer,
        host.database,
        host.reports.container.repository,
        host.reports.container.composer,
        report_mailer,
        host.clock,
        public_url=host.settings.provided.public_url,
    )
    report_loop: providers.Provider[ReportLoop] = providers.Singleton(ReportLoop, host.report_service, report_deliverer)
    metering: providers.Provider[Sequence[Job]] = providers.Singleton(
        metering_jobs,
        quota_service,
        alert_deliverer,
        host.roller,
        host.columnar_copier,
        host.event_archive,
        insight_jobs,
        operations_jobs,
        host.day_export,
    )
    jobs: providers.Provider[Sequence[Job]] = providers.Singleton(
        make_jobs,
        host.database,
        host.credits,
        host.idempotency,
        host.usage.container.upkeep,
        host.log_retention,
        host.report_service,
        metering,
    )
    schedule: providers.Provider[Schedule] = providers.Singleton(Schedule, host.database, host.clock, jobs)
    deliverer: providers.Provider[WebhookDeliverer] = providers.Singleton(
        WebhookDeliverer, host.database, host.egress, host.clock, ring=host.ring
    )
    probes: "providers.Provider[Sequence[Probes]]" = providers.Singleton(
        make_probes, host.settings, host.database, consumers, metrics, host.clock
    )
    worker: providers.Provider[Worker] = providers.Singleton(
        make_worker, consumers, schedule, host.heartbeats, deliverer, report_loop, report_mailer, probes
    )
