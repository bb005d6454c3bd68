"""Wiring of insights."""

from collections.abc import Sequence
from datetime import date

from dependency_injector import containers, providers

from faregate.analytics.answers.facts import FactReader
from faregate.analytics.answers.service import AnalyticsService
from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.insights.anomalies.quiet_hours import QuietHours, quiet_hours
from faregate.analytics.insights.anomalies.repository import AnomalyRepository
from faregate.analytics.insights.anomalies.service import AnomalyService
from faregate.analytics.insights.budgets.repository import BudgetRepository
from faregate.analytics.insights.budgets.service import BudgetService
from faregate.analytics.insights.costs.repository import CostRepository
from faregate.analytics.insights.costs.service import CostService
from faregate.analytics.insights.customers.repository import CustomerRepository
from faregate.analytics.insights.customers.service import CustomerService
from faregate.analytics.insights.feedback.interfaces import ISentimentModel, NoSentiment
from faregate.analytics.insights.feedback.repository import FeedbackRepository
from faregate.analytics.insights.feedback.service import FeedbackService
from faregate.analytics.insights.forecasting.service import ForecastService
from faregate.analytics.insights.job import InsightJobs
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.repository import InsightRepository
from faregate.analytics.insights.run_outs.repository import OutlookRepository
from faregate.analytics.insights.run_outs.service import RunOutService
from faregate.analytics.insights.series import SeriesReader
from faregate.analytics.quotas.container import thresholds_of
from faregate.analytics.quotas.delivering import AlertDeliverer
from faregate.analytics.quotas.interfaces import IAlertChannel
from faregate.analytics.quotas.service import QuotaService
from faregate.analytics.rollups.known_models import KnownModels
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.errors import ConfigurationError, InvalidError
from faregate.core.redaction.records import IRedactor
from faregate.core.settings import Settings
from faregate.core.values.time_zones import time_zone
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.price_book.service import PriceService

__all__ = ["InsightsContainer"]


def special_days_of(settings: Settings) -> frozenset[date]:
    """Return the special days of the settings."""
    parts = [part.strip() for part in settings.insights_special_days.split(",") if part.strip()]
    try:
        return frozenset(date.fromisoformat(part) for part in parts)
    except ValueError as error:
        raise ConfigurationError(f"FAREGATE_INSIGHTS_SPECIAL_DAYS: {error}; use days such as 2026-12-25") from error


def timezone_of(settings: Settings) -> str:
    """Return the time zone of scheduled insights."""
    try:
        return time_zone(settings.insights_timezone).key
    except InvalidError as error:
        raise ConfigurationError("FAREGATE_INSIGHTS_TIMEZONE: " + error.detail) from error


def quiet_hours_of(settings: Settings) -> QuietHours | None:
    """Return the quiet hours of the settings."""
    try:
        return quiet_hours(settings.insights_quiet_hours, time_zone(timezone_of(settings)))
    except InvalidError as error:
        raise ConfigurationError("FAREGATE_INSIGHTS_QUIET_HOURS: " + error.detail) from error


def names_of(channels: Sequence[IAlertChannel]) -> Sequence[str]:
    """Return the names of `channels` in the history."""
    return [channel.name for channel in channels]


class InsightsContainer(containers.DeclarativeContainer):
    """Needs `settings`, `database`, `subjects`, `clock`, `facts`, `models`, `archived`, `analytics`, `quotas`, `catalog`, `prices`
    and `redactor`; takes `channels` for alerts, and `sentiment`; exports `forecasts`, `anomalies`, `customers`, `run_outs`,
    `costs`, `budgets`, `feedback` and `jobs`.
    """

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    clock: providers.Provider[IClock] = providers.Dependency(instance_of=IClock)
    facts: providers.Provider[FactReader] = providers.Dependency(instance_of=FactReader)
    models: providers.Provider[KnownModels] = providers.Dependency(instance_of=KnownModels)
    archived: providers.Provider[ArchivedMonths] = providers.Dependency(instance_of=ArchivedMonths)
    analytics: providers.Provider[AnalyticsService] = providers.Dependency(instance_of=AnalyticsService)
    quotas: providers.Provider[QuotaService] = providers.Dependency(instance_of=QuotaService)
    catalog: providers.Provider[FeatureCatalog] = providers.Dependency(instance_of=FeatureCatalog)
    prices: providers.Provider[PriceService] = providers.Dependency(instance_of=PriceService)
    redactor: providers.Provider[IRedactor] = providers.Dependency(instance_of=IRedactor)
    sentiment: providers.Provider[ISentimentModel] = providers.Dependency(
        instance_of=ISentimentModel, default=providers.Singleton(NoSentiment)
    )
    channels: providers.Provider[Sequence[IAlertChannel]] = providers.Dependency(
        instance_of=Sequence, default=providers.List()
    )

    special_days: providers.Provider[frozenset[date]] = providers.Callable(special_days_of, settings)
    repository: providers.Provider[InsightRepository] = providers.Singleton(InsightRepository, database)
    keeper: providers.Provider[InsightKeeper] = providers.Singleton(InsightKeeper, database, repository, clock)
    reader: providers.Provider[SeriesReader] = providers.Singleton(SeriesReader, database, facts, models)
    forecasts: providers.Provider[ForecastService] = providers.Singleton(
        ForecastService, reader, keeper, clock, special_days=special_days
    )
    anomaly_repository: providers.Provider[AnomalyRepository] = providers.Singleton(AnomalyRepository, database)
    anomalies: providers.Provider[AnomalyService] = providers.Singleton(
        AnomalyService,
        database,
        anomaly_repository,
        reader,
        analytics,
        clock,
        timezone=providers.Callable(timezone_of, settings),
        special_days=special_days,
        channels=providers.Callable(names_of, channels),
        quiet=providers.Callable(quiet_hours_of, settings),
    )
    deliverer: providers.Provider[AlertDeliverer] = providers.Singleton(
        AlertDeliverer, database, anomaly_repository.provided.queue, channels, clock
    )
    customers: providers.Provider[CustomerService] = providers.Singleton(
        CustomerService,
        database,
        providers.Singleton(CustomerRepository, database, archived),
        keeper,
        catalog,
        clock,
        credit_price_usd=settings.provided.credit_price_usd,
        margin_percent=settings.provided.margin_percent,
    )
    run_outs: providers.Provider[RunOutService] = providers.Singleton(
        RunOutService, database, providers.Singleton(OutlookRepository, database), quotas, keeper, clock
    )
    costs: providers.Provider[CostService] = providers.Singleton(
        CostService,
        database,
        providers.Singleton(CostRepository, database, archived),
        keeper,
        models,
        prices,
        catalog,
        clock,
    )
    budget_repository: providers.Provider[BudgetRepository] = providers.Singleton(BudgetRepository, database)
    budgets: providers.Provider[BudgetService] = providers.Singleton(
        BudgetService,
        database,
        subjects,
        budget_repository,
        reader,
        forecasts,
        catalog,
        clock,
        thresholds=providers.Callable(thresholds_of, settings),
        channels=providers.Callable(names_of, channels),
    )
    budget_deliverer: providers.Provider[AlertDeliverer] = providers.Singleton(
        AlertDeliverer, database, budget_repository.provided.queue, channels, clock
    )
    feedback: providers.Provider[FeedbackService] = providers.Singleton(
        FeedbackService,
        database,
        providers.Singleton(FeedbackRepository, database),
        keeper,
        redactor,
        sentiment,
        clock,
        keep_days=settings.provided.feedback_retention_days,
    )
    jobs: providers.Provider[InsightJobs] = providers.Singleton(
        InsightJobs,
        forecasts,
        anomalies,
        customers,
        run_outs,
        costs,
        budgets,
        feedback,
        keeper,
        providers.List(deliverer, budget_deliverer),
        clock,
        timezone=providers.Callable(timezone_of, settings),
    )
