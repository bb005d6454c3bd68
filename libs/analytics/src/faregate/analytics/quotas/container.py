"""Wiring of quotas and alerts."""

from collections.abc import Sequence

from dependency_injector import containers, providers

from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.quotas.delivering import AlertDeliverer
from faregate.analytics.quotas.gate import QuotaGate
from faregate.analytics.quotas.history import AlertHistory
from faregate.analytics.quotas.interfaces import IAlertChannel, IUsageTotals
from faregate.analytics.quotas.levels import Thresholds
from faregate.analytics.quotas.repository import QuotaRepository
from faregate.analytics.quotas.service import QuotaService
from faregate.analytics.quotas.totals import FactTotals
from faregate.analytics.quotas.trying import AlertTester
from faregate.analytics.rollups.known_meters import KnownMeters
from faregate.analytics.rollups.repository import RollupRepository
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.errors import ConfigurationError, InvalidError
from faregate.core.settings import Settings
from faregate.core.webhooks.outgoing_events import IAnnouncer, NullAnnouncer
from faregate.usage.meters.catalog import MeterCatalog

__all__ = ["QuotasContainer"]


def thresholds_of(settings: Settings) -> Thresholds:
    """Return the deployment's alert thresholds."""
    try:
        return Thresholds(
            settings.alert_warning_percent, settings.alert_critical_percent, settings.alert_exceeded_percent
        )
    except InvalidError as error:
        raise ConfigurationError("FAREGATE_USAGE_ALERT_WARNING, _CRITICAL and _EXCEEDED: " + error.detail) from error


def names_of(channels: Sequence[IAlertChannel]) -> Sequence[str]:
    """Return the names of `channels` in the history."""
    return [channel.name for channel in channels]


class QuotasContainer(containers.DeclarativeContainer):
    """Needs `settings`, `database`, `subjects` and `clock`; takes `channels` for the delivery of alerts, `announcer` and `totals`;
    exports `service`, `gate`, `deliverer` and `tester`.
    """

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    clock: providers.Provider[IClock] = providers.Dependency(instance_of=IClock)
    channels: providers.Provider[Sequence[IAlertChannel]] = providers.Dependency(
        instance_of=Sequence, default=providers.List()
    )
    announcer: providers.Provider[IAnnouncer] = providers.Dependency(
        instance_of=IAnnouncer, default=providers.Singleton(NullAnnouncer)
    )
    totals: providers.Provider[IUsageTotals] = providers.Dependency(
        instance_of=IUsageTotals,
        default=providers.Singleton(FactTotals, database, claim=settings.provided.organization_claim),
    )

    meters: providers.Provider[KnownMeters] = providers.Singleton(
        KnownMeters,
        database,
        providers.Singleton(MeterCatalog, database),
        providers.Singleton(RollupRepository, database, providers.Singleton(ArchivedMonths, database)),
    )
    repository: providers.Provider[QuotaRepository] = providers.Singleton(QuotaRepository, database)
    history: providers.Provider[AlertHistory] = providers.Singleton(AlertHistory, database)
    service: providers.Provider[QuotaService] = providers.Singleton(
        QuotaService,
        database,
        subjects,
        repository,
        history,
        totals,
        clock,
        meters,
        thresholds=providers.Callable(thresholds_of, settings),
        channels=providers.Callable(names_of, channels),
        announcer=announcer,
    )
    gate: providers.Provider[QuotaGate] = providers.Singleton(QuotaGate, database, repository, totals, clock)
    tester: providers.Provider[AlertTester] = providers.Singleton(AlertTester, channels, clock)
    deliverer: providers.Provider[AlertDeliverer] = providers.Singleton(
        AlertDeliverer, database, history.provided.queue, channels, clock
    )
