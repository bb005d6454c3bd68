"""Composition root of the gateway: the only place here that sees all libraries."""

from dependency_injector import containers, providers

from faregate.core.container import CoreContainer
from faregate.core.settings import Settings
from faregate.credit.container import CreditContainer
from faregate.gateway.auth import BootstrapKey, IAuthenticator
from faregate.gateway.controllers.bookkeeping import BookkeepingController
from faregate.gateway.controllers.credits_process import CreditsProcessController
from faregate.gateway.controllers.features import FeaturesController
from faregate.gateway.controllers.health import HealthController
from faregate.gateway.controllers.usage import UsageController
from faregate.gateway.controllers.wallets import WalletsController
from faregate.gateway.dispatch import Dispatcher
from faregate.gateway.operation import Controller
from faregate.usage.container import UsageContainer
from faregate.usage.interfaces import IFeatureStrategy

__all__ = ["GatewayContainer"]


def bootstrap_key(settings: Settings) -> BootstrapKey:
    """Return the authenticator of the one key that the settings hold."""
    return BootstrapKey(settings.server_api_key.get_secret_value() if settings.server_api_key else None)


class GatewayContainer(containers.DeclarativeContainer):
    """Needs `settings`; takes `extra_strategies`; exports `dispatcher`, `controllers` and the libraries' containers."""

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)
    extra_strategies: providers.Provider[dict[str, IFeatureStrategy]] = providers.Dependency(
        instance_of=dict, default=providers.Dict()
    )

    core = providers.Container(CoreContainer, settings=settings)
    credit = providers.Container(
        CreditContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        outbox=core.container.outbox,
        progress=core.container.heartbeats,
    )
    usage = providers.Container(
        UsageContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        credit=credit.container.service,
        clock=core.container.clock,
        extra_strategies=extra_strategies,
    )

    authenticator: providers.Provider[IAuthenticator] = providers.Singleton(bootstrap_key, settings)
    dispatcher: providers.Provider[Dispatcher] = providers.Singleton(Dispatcher, authenticator)

    credits_process_controller: providers.Provider[CreditsProcessController] = providers.Singleton(
        CreditsProcessController, usage.container.service, usage.container.wallets, core.container.transport
    )
    usage_controller: providers.Provider[UsageController] = providers.Singleton(
        UsageController, usage.container.service
    )
    wallets_controller: providers.Provider[WalletsController] = providers.Singleton(
        WalletsController, usage.container.wallets
    )
    bookkeeping_controller: providers.Provider[BookkeepingController] = providers.Singleton(
        BookkeepingController, credit.container.bookkeeping
    )
    features_controller: providers.Provider[FeaturesController] = providers.Singleton(
        FeaturesController, usage.container.catalog
    )
    health_controller: providers.Provider[HealthController] = providers.Singleton(
        HealthController, core.container.database, core.container.transport, core.container.clock
    )
    controllers: providers.Provider[list[Controller]] = providers.List(
        credits_process_controller,
        usage_controller,
        wallets_controller,
        bookkeeping_controller,
        features_controller,
        health_controller,
    )
