"""Wiring of the use of features."""

from dependency_injector import containers, providers

from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Partitions
from faregate.core.db.subjects import Subjects
from faregate.core.settings import Settings
from faregate.credit.services.credits import CreditService
from faregate.usage.accounts.directory import DatabaseDirectory
from faregate.usage.accounts.organizations import OrganizationService
from faregate.usage.accounts.subscriptions import Subscriber
from faregate.usage.accounts.wallets import WalletService
from faregate.usage.credits_process.process import CreditsProcess
from faregate.usage.credits_process.quoting import Quoter
from faregate.usage.credits_process.reported_requests import ReportedRequests
from faregate.usage.credits_process.repository import UsageRepository
from faregate.usage.credits_process.settle import Settler
from faregate.usage.credits_process.settled_events import SettledEvents
from faregate.usage.credits_process.start import Starter
from faregate.usage.events.buffer import BufferedRecorder
from faregate.usage.events.history import EventHistory
from faregate.usage.events.recorder import UsageRecorder
from faregate.usage.events.repository import EventRepository
from faregate.usage.events.upkeep import EventUpkeep
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.features.repository import DefinitionRepository
from faregate.usage.foreign.catalog import IngestRules
from faregate.usage.foreign.service import ForeignIngest
from faregate.usage.interfaces import (
    IAccountDirectory,
    IFeatureStrategy,
    IHoldHistory,
    IQuotaGate,
    NoHistory,
    NoQuotas,
)
from faregate.usage.leases.service import LeaseService
from faregate.usage.meters.catalog import MeterCatalog
from faregate.usage.price_book.event_prices import EventPrices
from faregate.usage.price_book.repository import PriceRepository
from faregate.usage.price_book.repriced_events import RepricedEvents
from faregate.usage.price_book.repricing import Repricer
from faregate.usage.price_book.service import PriceService
from faregate.usage.rulebooks import Rulebooks
from faregate.usage.service import UsageService
from faregate.usage.strategies import BUILT_IN_STRATEGIES
from faregate.usage.strategies.host import host_strategies
from faregate.usage.strategies.registry import FeatureFactory
from faregate.usage.values import FeatureKey, PricingPolicy

__all__ = ["UsageContainer", "check_strategies"]


def pricing_policy(settings: Settings) -> PricingPolicy:
    """Return the deployment's credit price, margin, quantum and use of reported costs."""
    return PricingPolicy(
        settings.credit_price_usd, settings.margin_percent, settings.credit_quantum, settings.use_reported_cost
    )


def all_strategies(
    built_in: dict[str, IFeatureStrategy], extra: dict[str, IFeatureStrategy], setting: str
) -> dict[str, IFeatureStrategy]:
    """Return what hosts add to `built_in`: by setting and entry point, and in their container, which wins."""
    return {**host_strategies(setting, built_in=built_in), **extra}


class UsageContainer(containers.DeclarativeContainer):
    """Needs `settings`, `database`, `subjects`, `credit` and `clock`; takes `extra_strategies`, `directory`, `quotas`
    and `hold_history`; exports `service`, `leases`, `catalog`, `factory`, `price_service`, `repricer`, `members`,
    `organizations`, `wallets`, `recorder`, `history` and `partitions`.
    """

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    credit: providers.Provider[CreditService] = providers.Dependency(instance_of=CreditService)
    clock: providers.Provider[IClock] = providers.Dependency(instance_of=IClock)
    extra_strategies: providers.Provider[dict[str, IFeatureStrategy]] = providers.Dependency(
        instance_of=dict, default=providers.Dict()
    )

    members: providers.Provider[DatabaseDirectory] = providers.Singleton(
        DatabaseDirectory, database, subjects, claim=settings.provided.organization_claim
    )
    directory: providers.Provider[IAccountDirectory] = providers.Dependency(
        instance_of=IAccountDirectory, default=members
    )
    quotas: providers.Provider[IQuotaGate] = providers.Dependency(
        instance_of=IQuotaGate, default=providers.Singleton(NoQuotas)
    )
    hold_history: providers.Provider[IHoldHistory] = providers.Dependency(
        instance_of=IHoldHistory, default=providers.Singleton(NoHistory)
    )

    built_in_strategies: providers.Provider[dict[str, IFeatureStrategy]] = providers.Dict(
        {name: providers.Singleton(strategy) for name, strategy in BUILT_IN_STRATEGIES.items()}
    )
    factory: providers.Provider[FeatureFactory] = providers.Singleton(
        FeatureFactory,
        built_in_strategies,
        providers.Callable(all_strategies, built_in_strategies, extra_strategies, settings.provided.strategies),
        features=frozenset(key.value for key in FeatureKey),
    )
    definitions: providers.Provider[DefinitionRepository] = providers.Singleton(DefinitionRepository, database)
    catalog: providers.Provider[FeatureCatalog] = providers.Singleton(FeatureCatalog, database, factory, definitions)
    repository: providers.Provider[UsageRepository] = providers.Singleton(UsageRepository, database)
    events: providers.Provider[EventRepository] = providers.Singleton(EventRepository, database)
    partitions: providers.Provider[Partitions] = providers.Singleton(Partitions, database, "usage_event")
    price_repository: providers.Provider[PriceRepository] = providers.Singleton(PriceRepository, database)
    price_service: providers.Provider[PriceService] = providers.Singleton(
        PriceService,
        database,
        providers.Callable(pricing_policy, settings),
        price_repository,
        definitions,
        clock,
    )
    event_prices: providers.Provider[EventPrices] = providers.Singleton(EventPrices, price_service)
    recorder: providers.Provider[UsageRecorder] = providers.Singleton(
        UsageRecorder,
        database,
        subjects,
        events,
        partitions,
        clock,
        event_prices,
        late_days=settings.provided.late_event_days,
        future_seconds=settings.provided.future_event_seconds,
    )
    history: providers.Provider[EventHistory] = providers.Singleton(
        EventHistory, database, subjects, events, partitions, recorder, event_prices
    )
    meters: providers.Provider[MeterCatalog] = providers.Singleton(MeterCatalog, database)
    buffered: providers.Provider[BufferedRecorder] = providers.Factory(
        BufferedRecorder,
        recorder,
        batch_size=settings.provided.batch_size,
        batch_timeout_seconds=settings.provided.batch_timeout_seconds,
        spool_file=settings.provided.spool_file,
    )
    upkeep: providers.Provider[EventUpkeep] = providers.Singleton(
        EventUpkeep, database, events, partitions, clock, dedupe_days=settings.provided.dedupe_days
    )
    reported_requests: providers.Provider[ReportedRequests] = providers.Singleton(ReportedRequests, database)
    settled_events: providers.Provider[SettledEvents] = providers.Singleton(
        SettledEvents, database, partitions, clock, reported_requests
    )
    starter: providers.Provider[Starter] = providers.Singleton(
        Starter,
        credit,
        subjects,
        directory,
        factory,
        clock,
        quotas,
        hold_history,
        hold_ttl_seconds=settings.provided.hold_ttl_seconds,
    )
    settler: providers.Provider[Settler] = providers.Singleton(
        Settler,
        credit,
        directory,
        factory,
        repository,
        clock,
        quotas,
        settled_events,
        allow_unstarted=settings.provided.allow_unstarted,
    )
    subscriber: providers.Provider[Subscriber] = providers.Singleton(
        Subscriber, credit, on_change=settings.provided.plan_change
    )
    wallets: providers.Provider[WalletService] = providers.Singleton(
        WalletService, database, credit, subjects, members, catalog, subscriber
    )
    organizations: providers.Provider[OrganizationService] = providers.Singleton(OrganizationService, database, members)
    repricer: providers.Provider[Repricer] = providers.Singleton(
        Repricer,
        database,
        catalog,
        factory,
        price_service,
        price_repository,
        repository,
        credit,
        providers.Singleton(RepricedEvents, database),
    )
    rulebooks: providers.Provider[Rulebooks] = providers.Singleton(Rulebooks, catalog, price_service, credit)
    process: providers.Provider[CreditsProcess] = providers.Singleton(
        CreditsProcess, database, rulebooks, starter, settler, settled_events, subjects, repository, clock
    )
    service: providers.Provider[UsageService] = providers.Singleton(
        UsageService,
        database,
        credit,
        subjects,
        process,
        repository,
        providers.Singleton(Quoter, database, rulebooks, starter, credit, factory),
    )
    ingest_rules: providers.Provider[IngestRules] = providers.Singleton(IngestRules, database, definitions, catalog)
    foreign_ingest: providers.Provider[ForeignIngest] = providers.Singleton(
        ForeignIngest, database, ingest_rules, recorder, service
    )
    leases: providers.Provider[LeaseService] = providers.Singleton(
        LeaseService,
        database,
        service,
        credit,
        settled_events,
        clock,
        grace_seconds=settings.provided.lease_grace_seconds,
    )


def check_strategies(settings: Settings) -> None:
    """Make the strategies that `settings` and installed packages name, before anything is started.

    Raises:
        ConfigurationError: one cannot be used; the text names it, where it was named, and the fix.
    """
    UsageContainer(settings=settings).factory()
