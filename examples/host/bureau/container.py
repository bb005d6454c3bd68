"""Container of the bureau, on top of Faregate's."""

from decimal import Decimal

from dependency_injector import providers
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bureau.service import TranslationService
from bureau.strategy import PerPageStrategy
from faregate.core import Settings
from faregate.host import FaregateContainer
from faregate.usage import IFeatureStrategy

__all__ = ["BureauContainer", "strategies"]


def make_engine(settings: Settings) -> AsyncEngine:
    """Return the bureau's own engine, on the database that Faregate uses, too."""
    url = settings.database_url or ""
    return create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))


def strategies() -> dict[str, IFeatureStrategy]:
    """Return the bureau's own strategies, by the names that features call them."""
    return {"per_page": PerPageStrategy(rare_languages=frozenset({"fo", "se"}), surcharge=Decimal("2.5"))}


class BureauContainer(FaregateContainer):
    """Needs `settings`; takes `extra_strategies`, which are `strategies()`; adds `translations`."""

    engine: providers.Provider[AsyncEngine] = providers.Singleton(make_engine, FaregateContainer.settings)
    translations: providers.Provider[TranslationService] = providers.Singleton(
        TranslationService, engine, FaregateContainer.usage_service
    )
