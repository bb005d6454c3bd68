"""Wiring of the export in FOCUS."""

from dependency_injector import containers, providers

from faregate.analytics.focus.repository import FocusRepository
from faregate.analytics.focus.service import FocusService
from faregate.core.db.database import Database
from faregate.core.settings import Settings
from faregate.usage.price_book.service import PriceService

__all__ = ["FocusContainer"]


class FocusContainer(containers.DeclarativeContainer):
    """Needs `settings`, `database` and `prices`; exports `focus`."""

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    database: providers.Provider[Database] = providers.Dependency(instance_of=Database)
    prices: providers.Provider[PriceService] = providers.Dependency(instance_of=PriceService)

    focus: providers.Provider[FocusService] = providers.Singleton(
        FocusService,
        database,
        providers.Singleton(FocusRepository, database),
        prices,
        issuer=settings.provided.provider_name,
        credit_price_usd=settings.provided.credit_price_usd,
    )
