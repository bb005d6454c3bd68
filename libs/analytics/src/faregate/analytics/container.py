"""Wiring of analytics."""

from dependency_injector import containers, providers

from faregate.analytics.answers.exploration import Explorer
from faregate.analytics.answers.facts import FactReader
from faregate.analytics.answers.hold_history import HoldHistory
from faregate.analytics.answers.meter_totals import MeterTotals
from faregate.analytics.answers.service import AnalyticsService
from faregate.analytics.answers.trends import Patterns
from faregate.analytics.answers.user_periods import UserPeriods
from faregate.analytics.bi.service import BiService
from faregate.analytics.columnar.container import ColumnarContainer
from faregate.analytics.days.service import DayExport
from faregate.analytics.days.stores import store_of
from faregate.analytics.exports.service import ExportService
from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.facts.repository import RawRepository
from faregate.analytics.retention.archiving import EventArchive
from faregate.analytics.rollups.job import Roller
from faregate.analytics.rollups.known_meters import KnownMeters
from faregate.analytics.rollups.known_models import KnownModels
from faregate.analytics.rollups.repository import RollupRepository
from faregate.analytics.saved_views.repository import SavedViewRepository
from faregate.analytics.saved_views.service import SavedViews
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Partitions
from faregate.core.db.subjects import Subjects
from faregate.core.settings import Settings
from faregate.usage.meters.catalog import MeterCatalog

__all__ = ["AnalyticsContainer"]


class AnalyticsContainer(containers.DeclarativeContainer):
    """Needs `settings`, `database`, `subjects` and `clock`; exports `service`, `explorer`, `patterns`, `roller`, `hold_history`,
    `meter_totals`, `user_periods`, `archive`, `exports`, `days`, `copier`,
    `saved_views` and `bi`.
    """

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    clock: providers.Provider[IClock] = providers.Dependency(instance_of=IClock)

    archived: providers.Provider[ArchivedMonths] = providers.Singleton(ArchivedMonths, database)
    raw: providers.Provider[RawRepository] = providers.Singleton(RawRepository, database, archived)
    rollups: providers.Provider[RollupRepository] = providers.Singleton(RollupRepository, database, archived)
    columnar = providers.Container(
        ColumnarContainer, settings=settings, database=database, subjects=subjects, archived=archived, raw=raw
    )
    copier = columnar.container.copier
    facts: providers.Provider[FactReader] = providers.Singleton(FactReader, columnar.container.facts, rollups, subjects)
    partitions: providers.Provider[Partitions] = providers.Singleton(Partitions, database, "usage_event")
    roller: providers.Provider[Roller] = providers.Singleton(Roller, database, partitions)
    archive: providers.Provider[EventArchive] = providers.Singleton(
        EventArchive,
        database,
        partitions,
        roller,
        clock,
        directory=settings.provided.usage_archive_dir,
        keep_days=settings.provided.usage_retention_days,
        late_days=settings.provided.late_event_days,
    )
    known_models: providers.Provider[KnownModels] = providers.Singleton(KnownModels, rollups)
    meters: providers.Provider[MeterCatalog] = providers.Singleton(MeterCatalog, database)
    known_meters: providers.Provider[KnownMeters] = providers.Singleton(KnownMeters, database, meters, rollups)
    exports: providers.Provider[ExportService] = providers.Singleton(
        ExportService, database, clock, archived, known_models, known_meters
    )
    days: providers.Provider[DayExport] = providers.Singleton(
        DayExport,
        database,
        clock,
        providers.Callable(store_of, settings),
        late_days=settings.provided.late_event_days,
    )
    bi: providers.Provider[BiService] = providers.Singleton(BiService, database)
    service: providers.Provider[AnalyticsService] = providers.Singleton(
        AnalyticsService, database, facts, subjects, known_models, known_meters
    )
    explorer: providers.Provider[Explorer] = providers.Singleton(
        Explorer, database, facts, subjects, known_models, known_meters, clock
    )
    patterns: providers.Provider[Patterns] = providers.Singleton(
        Patterns,
        service,
        raw,
        database,
        meters,
        known_meters,
        known_models,
        credit_price_usd=settings.provided.credit_price_usd,
    )
    meter_totals: providers.Provider[MeterTotals] = providers.Singleton(MeterTotals, service, patterns, meters)
    user_periods: providers.Provider[UserPeriods] = providers.Singleton(UserPeriods, service)
    hold_history: providers.Provider[HoldHistory] = providers.Singleton(HoldHistory, database, clock)
    saved_views: providers.Provider[SavedViews] = providers.Singleton(
        SavedViews, database, subjects, providers.Singleton(SavedViewRepository, database)
    )
