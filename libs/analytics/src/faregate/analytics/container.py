"""Wiring of analytics."""

from dependency_injector import containers, providers

from faregate.analytics.facts import FactReader
from faregate.analytics.raw_repository import RawRepository
from faregate.analytics.rolling import Roller
from faregate.analytics.rollup_repository import RollupRepository
from faregate.analytics.service import AnalyticsService
from faregate.core.clock import IClock
from faregate.core.database import Database
from faregate.core.partitions import Partitions
from faregate.core.settings import Settings
from faregate.core.subjects import Subjects

__all__ = ["AnalyticsContainer"]


class AnalyticsContainer(containers.DeclarativeContainer):
    """Needs `settings`, `database`, `subjects` and `clock`; exports `service` and `roller`."""

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    clock: providers.Provider[IClock] = providers.Dependency(instance_of=IClock)

    raw: providers.Provider[RawRepository] = providers.Singleton(RawRepository, database)
    rollups: providers.Provider[RollupRepository] = providers.Singleton(RollupRepository, database)
    facts: providers.Provider[FactReader] = providers.Singleton(FactReader, raw, rollups, subjects)
    partitions: providers.Provider[Partitions] = providers.Singleton(Partitions, database, "usage_event")
    roller: providers.Provider[Roller] = providers.Singleton(Roller, database, partitions)
    service: providers.Provider[AnalyticsService] = providers.Singleton(AnalyticsService, database, facts, subjects)
