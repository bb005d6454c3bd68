"""Composition root of the gateway: the only place here that sees all libraries."""

from dependency_injector import containers, providers

from faregate.analytics.answers.story import Storyteller
from faregate.analytics.container import AnalyticsContainer
from faregate.analytics.quotas.container import QuotasContainer
from faregate.analytics.retention.personal_data import ANALYTICS_ERASURES, ANALYTICS_EXPORTS, ArchivedEventsPersonalData
from faregate.core.access.key_store import KeyStore
from faregate.core.container import CoreContainer
from faregate.core.privacy.personal_copies import CopiesPersonalData
from faregate.core.privacy.personal_data import CORE_ERASURES, CORE_EXPORTS, SqlPersonalData
from faregate.core.settings import Settings
from faregate.credit.container import CreditContainer
from faregate.credit.services.personal_data import CREDIT_ERASURES, CREDIT_EXPORTS
from faregate.feature_log.container import FeatureLogContainer
from faregate.feature_log.privacy import PrivacyService
from faregate.gateway.controllers.analytics import AnalyticsController
from faregate.gateway.controllers.audit import AuditController
from faregate.gateway.controllers.bookkeeping import BookkeepingController
from faregate.gateway.controllers.credits_process import CreditsProcessController
from faregate.gateway.controllers.dead_letters import DeadLettersController
from faregate.gateway.controllers.exports import ExportsController
from faregate.gateway.controllers.feature_logs import FeatureLogsController
from faregate.gateway.controllers.features import FeaturesController
from faregate.gateway.controllers.health import HealthController
from faregate.gateway.controllers.keys import KeysController
from faregate.gateway.controllers.meters import MetersController
from faregate.gateway.controllers.organizations import OrganizationsController
from faregate.gateway.controllers.plans import PlansController
from faregate.gateway.controllers.prices import PricesController
from faregate.gateway.controllers.privacy import PrivacyController
from faregate.gateway.controllers.quotas import QuotasController
from faregate.gateway.controllers.usage import UsageController
from faregate.gateway.controllers.usage_events import UsageEventsController
from faregate.gateway.controllers.wallets import WalletsController
from faregate.gateway.controllers.webhooks import WebhooksController
from faregate.gateway.http.dispatch import Dispatcher
from faregate.gateway.http.operation import Controller
from faregate.gateway.http.rate_limits import RateLimiter, limit_rules
from faregate.gateway.http.response_cache import AnswerCache
from faregate.gateway.http.unit_of_work import UnitOfWork
from faregate.gateway.observability.metrics import Metrics
from faregate.gateway.security.auth import IAuthenticator
from faregate.gateway.security.credentials import Authenticator
from faregate.gateway.security.jwks import KeySet
from faregate.gateway.security.tokens import SecretSource, TokenRules, Tokens
from faregate.usage.accounts.personal_data import USAGE_ERASURES, USAGE_EXPORTS
from faregate.usage.container import UsageContainer
from faregate.usage.interfaces import IFeatureStrategy

__all__ = ["GatewayContainer"]


def make_authenticator(settings: Settings, keys: KeyStore) -> Authenticator:
    """Return who proves who calls, as the settings say."""
    key = settings.server_api_key.get_secret_value() if settings.server_api_key else None
    return Authenticator(key, keys, make_tokens(settings))


def make_tokens(settings: Settings) -> Tokens | None:
    """Return who proves people's tokens; None where the settings know no people."""
    if settings.jwks_url is not None:
        rules = TokenRules(settings.jwt_algorithms, settings.jwt_issuer, settings.jwt_audience)
        return Tokens(KeySet(settings.jwks_url), rules)
    if settings.jwt_secret is not None:
        rules = TokenRules(["HS256"], settings.jwt_issuer, settings.jwt_audience)
        return Tokens(SecretSource(settings.jwt_secret.get_secret_value()), rules)
    return None


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
        announcer=core.container.announcer,
        progress=core.container.heartbeats,
    )
    quotas = providers.Container(
        QuotasContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        clock=core.container.clock,
    )
    analytics = providers.Container(
        AnalyticsContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        clock=core.container.clock,
    )
    usage = providers.Container(
        UsageContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        credit=credit.container.service,
        clock=core.container.clock,
        hold_history=analytics.container.hold_history,
        extra_strategies=extra_strategies,
        quotas=quotas.container.gate,
    )

    feature_log = providers.Container(
        FeatureLogContainer,
        settings=settings,
        database=core.container.database,
        subjects=core.container.subjects,
        clock=core.container.clock,
        names=usage.container.catalog,
    )

    stories: providers.Provider[Storyteller] = providers.Singleton(
        Storyteller,
        core.container.database,
        core.container.clock,
        usage.container.service,
        feature_log.container.service,
    )
    authenticator: providers.Provider[IAuthenticator] = providers.Singleton(
        make_authenticator, settings, core.container.keys
    )
    work: providers.Provider[UnitOfWork] = providers.Singleton(
        UnitOfWork, core.container.database, core.container.idempotency, core.container.audit
    )
    limiter: providers.Provider[RateLimiter] = providers.Singleton(
        RateLimiter, providers.Callable(limit_rules, settings), core.container.clock, settings.provided.redis_url
    )
    answers: providers.Provider[AnswerCache] = providers.Singleton(
        AnswerCache, core.container.database, settings.provided.kept_answers, settings.provided.redis_url
    )
    dispatcher: providers.Provider[Dispatcher] = providers.Singleton(Dispatcher, authenticator, limiter, work, answers)

    metrics: providers.Provider[Metrics] = providers.Singleton(
        Metrics,
        limiter,
        core.container.database.provided.lookups,
        providers.List(core.container.figures, credit.container.figures),
    )
    credits_process_controller: providers.Provider[CreditsProcessController] = providers.Singleton(
        CreditsProcessController,
        usage.container.service,
        usage.container.wallets,
        core.container.transport,
        stories,
        metrics,
    )
    usage_controller: providers.Provider[UsageController] = providers.Singleton(
        UsageController, usage.container.service
    )
    wallets_controller: providers.Provider[WalletsController] = providers.Singleton(
        WalletsController, usage.container.wallets
    )
    dead_letters_controller: providers.Provider[DeadLettersController] = providers.Singleton(
        DeadLettersController, core.container.dead_letters
    )
    bookkeeping_controller: providers.Provider[BookkeepingController] = providers.Singleton(
        BookkeepingController, credit.container.bookkeeping
    )
    features_controller: providers.Provider[FeaturesController] = providers.Singleton(
        FeaturesController, usage.container.catalog
    )
    privacy: providers.Provider[PrivacyService] = providers.Singleton(
        PrivacyService,
        core.container.database,
        core.container.subjects,
        core.container.audit,
        providers.List(
            feature_log.container.personal_data,
            providers.Singleton(ArchivedEventsPersonalData, analytics.container.archive),
            providers.Singleton(SqlPersonalData, core.container.database, ANALYTICS_EXPORTS, ANALYTICS_ERASURES),
            providers.Singleton(SqlPersonalData, core.container.database, USAGE_EXPORTS, USAGE_ERASURES),
            providers.Singleton(SqlPersonalData, core.container.database, CREDIT_EXPORTS, CREDIT_ERASURES),
            providers.Singleton(CopiesPersonalData, core.container.database),
            providers.Singleton(SqlPersonalData, core.container.database, CORE_EXPORTS, CORE_ERASURES),
        ),
    )
    privacy_controller: providers.Provider[PrivacyController] = providers.Singleton(PrivacyController, privacy)
    plans_controller: providers.Provider[PlansController] = providers.Singleton(
        PlansController, usage.container.catalog
    )
    prices_controller: providers.Provider[PricesController] = providers.Singleton(
        PricesController, usage.container.price_service
    )
    organizations_controller: providers.Provider[OrganizationsController] = providers.Singleton(
        OrganizationsController, usage.container.organizations
    )
    feature_logs_controller: providers.Provider[FeatureLogsController] = providers.Singleton(
        FeatureLogsController,
        feature_log.container.service,
        core.container.transport,
        feature_log.container.redactor,
        stories,
        core.container.ring,
    )
    health_controller: providers.Provider[HealthController] = providers.Singleton(
        HealthController, core.container.database, core.container.transport, core.container.clock, metrics
    )
    keys_controller: providers.Provider[KeysController] = providers.Singleton(
        KeysController, core.container.database, core.container.keys, credit.container.limits, core.container.clock
    )
    webhooks_controller: providers.Provider[WebhooksController] = providers.Singleton(
        WebhooksController, core.container.database, core.container.webhooks
    )
    audit_controller: providers.Provider[AuditController] = providers.Singleton(AuditController, core.container.audit)
    usage_events_controller: providers.Provider[UsageEventsController] = providers.Singleton(
        UsageEventsController, usage.container.recorder, usage.container.history
    )
    analytics_controller: providers.Provider[AnalyticsController] = providers.Singleton(
        AnalyticsController,
        analytics.container.service,
        analytics.container.patterns,
        analytics.container.user_periods,
        core.container.clock,
        settings.provided.credit_price_usd,
    )
    quotas_controller: providers.Provider[QuotasController] = providers.Singleton(
        QuotasController, quotas.container.service
    )
    meters_controller: providers.Provider[MetersController] = providers.Singleton(
        MetersController, usage.container.meters, analytics.container.meter_totals, core.container.clock
    )
    exports_controller: providers.Provider[ExportsController] = providers.Singleton(
        ExportsController, analytics.container.exports, core.container.clock
    )
    controllers: providers.Provider[list[Controller]] = providers.List(
        credits_process_controller,
        usage_controller,
        wallets_controller,
        features_controller,
        plans_controller,
        prices_controller,
        organizations_controller,
        feature_logs_controller,
        privacy_controller,
        health_controller,
        keys_controller,
        audit_controller,
        webhooks_controller,
        bookkeeping_controller,
        usage_events_controller,
        analytics_controller,
        dead_letters_controller,
        quotas_controller,
        meters_controller,
        exports_controller,
    )
