"""Dependency injection container of all libraries."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from dependency_injector import containers, providers

from faregate.analytics.answers.story import Storyteller
from faregate.analytics.bills.container import BillsContainer
from faregate.analytics.container import AnalyticsContainer
from faregate.analytics.focus.container import FocusContainer
from faregate.analytics.insights.container import InsightsContainer
from faregate.analytics.insights.feedback.interfaces import ISentimentModel, NoSentiment
from faregate.analytics.insights.operations.container import OperationsContainer
from faregate.analytics.quotas.container import QuotasContainer
from faregate.analytics.quotas.interfaces import IAlertChannel
from faregate.analytics.reports.container import ReportsContainer
from faregate.analytics.retention.personal_data import ANALYTICS_ERASURES, ANALYTICS_EXPORTS, ArchivedEventsPersonalData
from faregate.core.container import CoreContainer, engines
from faregate.core.db.database import Database
from faregate.core.privacy.copies_personal_data import CopiesPersonalData
from faregate.core.privacy.personal_data import CORE_ERASURES, CORE_EXPORTS, SqlPersonalData
from faregate.core.settings import Settings
from faregate.credit.container import CreditContainer
from faregate.credit.services.personal_data import CREDIT_ERASURES, CREDIT_EXPORTS
from faregate.feature_log.container import FeatureLogContainer
from faregate.feature_log.privacy import PrivacyService
from faregate.usage.accounts.many_wallets import ManyWallets
from faregate.usage.accounts.personal_data import USAGE_ERASURES, USAGE_EXPORTS
from faregate.usage.container import UsageContainer
from faregate.usage.credits_process.many_uses import ManyUses
from faregate.usage.interfaces import IFeatureStrategy

__all__ = ["FaregateContainer"]

SEAMS = {
    "channels": "quotas",
    "sentiment": "insights",
    "extra_strategies": "usage",
    "directory": "usage",
    "top_up_provider": "credit",
    "redactor": "feature_log",
    "announcer": "core",
    "clock": "core",
    "transport": "core",
}
"""Providers that hosts may supply, and the library that uses each."""


class FaregateContainer(containers.DeclarativeContainer):
    """Container of all libraries. Needs `settings`; accepts `extra_strategies` by name, `channels` for the delivery of alerts, and
    `sentiment`, a model that rates the texts of feedback.

    Every provider can be replaced when the container is created, e.g. `FaregateContainer(settings=…, directory=mine)`; the
    extension points for this are `directory`, `top_up_provider`, `redactor`, `announcer`, `transport` and `clock`. Providers that
    this class does not list are in the libraries' own containers: `core`, `credit`, `quotas`, `analytics`, `insights`,
    `operations`, `reports`, `provider_bills`, `focus_export`, `usage`, `feature_log`.

    `async with container.engines() as database:` keeps the database and the transport open.

    Raises:
        TypeError: a subclass replaces an extension point. The libraries would not see it: they refer to the provider of this class.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for seam, library in SEAMS.items():
            if seam in vars(cls) and library not in vars(cls):
                raise TypeError(
                    f"{cls.__name__} replaces `{seam}`; pass it to the constructor: {cls.__name__}({seam}=…)"
                )

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    extra_strategies: providers.Provider[dict[str, IFeatureStrategy]] = providers.Dependency(
        instance_of=dict, default=providers.Dict()
    )
    channels: providers.Provider[Sequence[IAlertChannel]] = providers.Dependency(
        instance_of=Sequence, default=providers.List()
    )
    sentiment: providers.Provider[ISentimentModel] = providers.Dependency(
        instance_of=ISentimentModel, default=providers.Singleton(NoSentiment)
    )

    core = providers.Container(CoreContainer, settings=settings)
    clock = core.container.clock
    database = core.container.database
    subjects = core.container.subjects
    transport = core.container.transport
    outbox = core.container.outbox
    engines: providers.Provider[AbstractAsyncContextManager[Database]] = providers.Factory(engines, database, transport)
    dead_letters = core.container.dead_letters
    heartbeats = core.container.heartbeats
    idempotency = core.container.idempotency
    audit = core.container.audit
    keys = core.container.keys
    system_status = core.container.system_status
    scaling = core.container.scaling
    portal_links = core.container.portal_links
    web_sessions = core.container.web_sessions
    egress = core.container.egress
    ring = core.container.ring
    tenants = core.container.tenants
    tenant_service = core.container.tenant_service
    announcer = core.container.announcer
    webhooks = core.container.webhooks

    credit = providers.Container(
        CreditContainer,
        settings=settings,
        database=database,
        subjects=subjects,
        outbox=outbox,
        announcer=announcer,
        progress=heartbeats,
    )
    top_up_provider = credit.container.top_up_provider
    credits = credit.container.service
    bookkeeping = credit.container.bookkeeping
    corrections = credit.container.corrections
    spending_limits = credit.container.limits
    top_ups = credit.container.top_ups
    payments = credit.container.payments
    checkouts = credit.container.checkouts
    stripe_inbox = credit.container.stripe_inbox
    ledger_lookups = credit.container.lookups
    openings = credit.container.openings
    closes = credit.container.closes
    verifier = credit.container.verifier

    quotas = providers.Container(
        QuotasContainer,
        settings=settings,
        database=database,
        subjects=subjects,
        clock=clock,
        channels=channels,
        announcer=announcer,
    )
    quota_service = quotas.container.service
    alert_deliverer = quotas.container.deliverer
    alert_tester = quotas.container.tester

    analytics = providers.Container(
        AnalyticsContainer, settings=settings, database=database, subjects=subjects, clock=clock
    )
    questions = analytics.container.service
    explorer = analytics.container.explorer
    patterns = analytics.container.patterns
    meter_totals = analytics.container.meter_totals
    user_periods = analytics.container.user_periods
    roller = analytics.container.roller
    columnar_copier = analytics.container.columnar.container.copier
    event_archive = analytics.container.archive
    exports = analytics.container.exports
    saved_views = analytics.container.saved_views
    bi = analytics.container.bi
    day_export = analytics.container.days

    usage = providers.Container(
        UsageContainer,
        settings=settings,
        database=database,
        subjects=subjects,
        credit=credits,
        clock=clock,
        hold_history=analytics.container.hold_history,
        extra_strategies=extra_strategies,
        quotas=quotas.container.gate,
    )
    directory = usage.container.directory
    usage_service = usage.container.service
    leases = usage.container.leases
    catalog = usage.container.catalog
    wallets = usage.container.wallets
    organizations = usage.container.organizations
    price_service = usage.container.price_service
    repricer = usage.container.repricer
    meters = usage.container.meters
    ingest_rules = usage.container.ingest_rules
    foreign_ingest = usage.container.foreign_ingest
    recorder = usage.container.recorder
    buffered_recorder = usage.container.buffered
    event_history = usage.container.history

    feature_log = providers.Container(
        FeatureLogContainer, settings=settings, database=database, subjects=subjects, clock=clock, names=catalog
    )
    redactor = feature_log.container.redactor
    logs = feature_log.container.service
    log_retention = feature_log.container.retention
    log_rotation = feature_log.container.rotation

    insights = providers.Container(
        InsightsContainer,
        settings=settings,
        database=database,
        subjects=subjects,
        clock=clock,
        facts=analytics.container.facts,
        models=analytics.container.known_models,
        archived=analytics.container.archived,
        analytics=questions,
        quotas=quota_service,
        catalog=catalog,
        prices=price_service,
        redactor=redactor,
        sentiment=sentiment,
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
        settings=settings,
        database=database,
        clock=clock,
        facts=analytics.container.facts,
        models=analytics.container.known_models,
        catalog=catalog,
        corrections=corrections,
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

    reports = providers.Container(
        ReportsContainer,
        settings=settings,
        database=database,
        subjects=subjects,
        clock=clock,
        analytics=questions,
        books=bookkeeping,
    )
    report_service = reports.container.service

    provider_bills = providers.Container(BillsContainer, database=database, prices=price_service)
    bills = provider_bills.container.bills
    focus_export = providers.Container(FocusContainer, settings=settings, database=database, prices=price_service)
    focus = focus_export.container.focus

    many_uses: providers.Provider[ManyUses] = providers.Singleton(
        ManyUses, database, credits, credit.container.bulk_reads, usage.container.repository
    )
    many_wallets: providers.Provider[ManyWallets] = providers.Singleton(
        ManyWallets, database, credit.container.bulk_reads, usage.container.members
    )
    stories: providers.Provider[Storyteller] = providers.Singleton(Storyteller, database, clock, usage_service, logs)
    privacy: providers.Provider[PrivacyService] = providers.Singleton(
        PrivacyService,
        database,
        subjects,
        audit,
        providers.List(
            feature_log.container.personal_data,
            providers.Singleton(ArchivedEventsPersonalData, event_archive),
            providers.Singleton(SqlPersonalData, database, ANALYTICS_EXPORTS, ANALYTICS_ERASURES),
            providers.Singleton(SqlPersonalData, database, USAGE_EXPORTS, USAGE_ERASURES),
            providers.Singleton(SqlPersonalData, database, CREDIT_EXPORTS, CREDIT_ERASURES),
            providers.Singleton(CopiesPersonalData, database),
            providers.Singleton(SqlPersonalData, database, CORE_EXPORTS, CORE_ERASURES),
        ),
    )
