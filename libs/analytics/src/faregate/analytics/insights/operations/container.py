"""Wiring of objectives, incidents and capacity."""

from collections.abc import Sequence

from dependency_injector import containers, providers

from faregate.analytics.answers.facts import FactReader
from faregate.analytics.insights.container import names_of, quiet_hours_of, timezone_of
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.operations.capacity.repository import CapacityRepository
from faregate.analytics.insights.operations.capacity.service import CapacityService
from faregate.analytics.insights.operations.incidents.refunds import IncidentRefunds
from faregate.analytics.insights.operations.incidents.repository import IncidentRepository
from faregate.analytics.insights.operations.incidents.service import IncidentService
from faregate.analytics.insights.operations.job import OperationsJobs
from faregate.analytics.insights.operations.objectives.repository import ObjectiveRepository
from faregate.analytics.insights.operations.objectives.service import ObjectiveService
from faregate.analytics.insights.repository import InsightRepository
from faregate.analytics.insights.series import SeriesReader
from faregate.analytics.quotas.delivering import AlertDeliverer
from faregate.analytics.quotas.interfaces import IAlertChannel
from faregate.analytics.rollups.known_models import KnownModels
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.settings import Settings
from faregate.credit.services.corrections import CorrectionService
from faregate.usage.features.catalog import FeatureCatalog

__all__ = ["OperationsContainer"]


class OperationsContainer(containers.DeclarativeContainer):
    """Needs `settings`, `database`, `clock`, `facts`, `models`, `catalog`, `corrections`, and the insights' `keeper`, `reader` and
    `repository`; takes `channels` for alerts; exports `objectives`, `incidents`, `incident_refunds`, `capacity` and `jobs`.
    """

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    clock: providers.Provider[IClock] = providers.Dependency(instance_of=IClock)
    facts: providers.Provider[FactReader] = providers.Dependency(instance_of=FactReader)
    models: providers.Provider[KnownModels] = providers.Dependency(instance_of=KnownModels)
    catalog: providers.Provider[FeatureCatalog] = providers.Dependency(instance_of=FeatureCatalog)
    corrections: providers.Provider[CorrectionService] = providers.Dependency(instance_of=CorrectionService)
    keeper: providers.Provider[InsightKeeper] = providers.Dependency(instance_of=InsightKeeper)
    reader: providers.Provider[SeriesReader] = providers.Dependency(instance_of=SeriesReader)
    repository: providers.Provider[InsightRepository] = providers.Dependency(instance_of=InsightRepository)
    channels: providers.Provider[Sequence[IAlertChannel]] = providers.Dependency(
        instance_of=Sequence, default=providers.List()
    )

    objective_repository: providers.Provider[ObjectiveRepository] = providers.Singleton(ObjectiveRepository, database)
    objectives: providers.Provider[ObjectiveService] = providers.Singleton(
        ObjectiveService,
        database,
        objective_repository,
        facts,
        models,
        catalog,
        clock,
        channels=providers.Callable(names_of, channels),
        quiet=providers.Callable(quiet_hours_of, settings),
    )
    incidents: providers.Provider[IncidentService] = providers.Singleton(
        IncidentService,
        database,
        facts,
        models,
        providers.Singleton(IncidentRepository, database),
        keeper,
        clock,
    )
    incident_refunds: providers.Provider[IncidentRefunds] = providers.Singleton(
        IncidentRefunds, database, repository, corrections
    )
    capacity: providers.Provider[CapacityService] = providers.Singleton(
        CapacityService, database, providers.Singleton(CapacityRepository, database), reader, keeper, clock
    )
    deliverer: providers.Provider[AlertDeliverer] = providers.Singleton(
        AlertDeliverer, database, objective_repository.provided.queue, channels, clock
    )
    jobs: providers.Provider[OperationsJobs] = providers.Singleton(
        OperationsJobs, objectives, capacity, deliverer, timezone=providers.Callable(timezone_of, settings)
    )
