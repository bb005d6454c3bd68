"""Wiring of reports."""

from dependency_injector import containers, providers

from faregate.analytics.answers.service import AnalyticsService
from faregate.analytics.reports.content.composer import ReportComposer
from faregate.analytics.reports.content.figures import FigureReader
from faregate.analytics.reports.repository import ReportRepository
from faregate.analytics.reports.service import ReportService
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.settings import Settings
from faregate.credit.services.bookkeeping import Bookkeeping

__all__ = ["ReportsContainer"]


class ReportsContainer(containers.DeclarativeContainer):
    """Needs `settings`, `database`, `subjects`, `clock`, `analytics` and `books`; exports `service`, `repository`, `composer`."""

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    subjects: providers.Provider[Subjects] = providers.Dependency(instance_of=Subjects)
    clock: providers.Provider[IClock] = providers.Dependency(instance_of=IClock)
    analytics: providers.Provider[AnalyticsService] = providers.Dependency(instance_of=AnalyticsService)
    books: providers.Provider[Bookkeeping] = providers.Dependency(instance_of=Bookkeeping)

    repository: providers.Provider[ReportRepository] = providers.Singleton(ReportRepository, database)
    reader: providers.Provider[FigureReader] = providers.Singleton(
        FigureReader, analytics, books, clock, credit_price_usd=settings.provided.credit_price_usd
    )
    composer: providers.Provider[ReportComposer] = providers.Singleton(
        ReportComposer,
        reader,
        public_url=settings.provided.public_url,
        title=settings.provided.portal_title,
    )
    service: providers.Provider[ReportService] = providers.Singleton(
        ReportService, database, subjects, repository, composer, clock
    )
