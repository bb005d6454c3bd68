"""Wiring of insights."""

from dependency_injector import containers, providers

from faregate.analytics.answers.facts import FactReader
from faregate.analytics.insights.forecasting.service import ForecastService
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.repository import InsightRepository
from faregate.analytics.insights.series import SeriesReader
from faregate.analytics.rollups.known_models import KnownModels
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.settings import Settings

__all__ = ["InsightsContainer"]


class InsightsContainer(containers.DeclarativeContainer):
    """Needs `settings`, `database`, `clock`, `facts` and `models`; exports `forecasts`."""

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    clock: providers.Provider[IClock] = providers.Dependency(instance_of=IClock)
    facts: providers.Provider[FactReader] = providers.Dependency(instance_of=FactReader)
    models: providers.Provider[KnownModels] = providers.Dependency(instance_of=KnownModels)

    repository: providers.Provider[InsightRepository] = providers.Singleton(InsightRepository, database)
    keeper: providers.Provider[InsightKeeper] = providers.Singleton(InsightKeeper, database, repository, clock)
    reader: providers.Provider[SeriesReader] = providers.Singleton(SeriesReader, database, facts, models)
    forecasts: providers.Provider[ForecastService] = providers.Singleton(ForecastService, reader, keeper, clock)
