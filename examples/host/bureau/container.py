"""The bureau's own container, with those of Faregate inside; no line of the library is touched."""

from decimal import Decimal

from dependency_injector import containers, providers
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bureau.service import TranslationService
from bureau.strategy import PerPageStrategy
from faregate.core import CoreContainer, Settings
from faregate.credit import CreditContainer
from faregate.usage import IFeatureStrategy, UsageContainer

__all__ = ["BureauContainer"]


def make_engine(settings: Settings) -> AsyncEngine:
    """Return the bureau's own engine, on the database that Faregate uses, too."""
    url = settings.database_url or ""
    return create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))


class BureauContainer(containers.DeclarativeContainer):
    """Needs `settings`; exports `translations`, and `core`, `credit` and `usage` of Faregate."""

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)

    core = providers.Container(CoreContainer, settings=settings)
    credit = providers.Container(
        CreditContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        outbox=core.container.outbox,
        progress=core.container.heartbeats,
    )
    strategies: providers.Provider[dict[str, IFeatureStrategy]] = providers.Dict(
        per_page=providers.Singleton(PerPageStrategy, rare_languages=frozenset({"fo", "se"}), surcharge=Decimal("2.5"))
    )
    usage = providers.Container(
        UsageContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        credit=credit.container.service,
        clock=core.container.clock,
        extra_strategies=strategies,
    )
    engine: providers.Provider[AsyncEngine] = providers.Singleton(make_engine, settings)
    translations: providers.Provider[TranslationService] = providers.Singleton(
        TranslationService, engine, usage.container.service
    )
