"""Composition root of the gateway.

It is the only module of the gateway that imports all libraries.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from dependency_injector import providers

from faregate.core.access.audit import AuditLog
from faregate.core.access.key_store import KeyStore
from faregate.core.access.portal_links import PortalLinks
from faregate.core.access.web_sessions import WebSessionStore
from faregate.core.db.database import Database
from faregate.core.errors import ConfigurationError, MissingExtraError
from faregate.core.settings import Settings
from faregate.gateway.controllers.allowances import AllowancesController
from faregate.gateway.controllers.analytics import AnalyticsController
from faregate.gateway.controllers.audit import AuditController
from faregate.gateway.controllers.bills import BillsController
from faregate.gateway.controllers.bookkeeping import BookkeepingController
from faregate.gateway.controllers.budgets import BudgetsController
from faregate.gateway.controllers.closes import ClosesController
from faregate.gateway.controllers.costs import CostsController
from faregate.gateway.controllers.credits_process import CreditsProcessController
from faregate.gateway.controllers.dead_letters import DeadLettersController
from faregate.gateway.controllers.exploration import ExplorationController
from faregate.gateway.controllers.exports import ExportsController
from faregate.gateway.controllers.feature_logs import FeatureLogsController
from faregate.gateway.controllers.features import FeaturesController
from faregate.gateway.controllers.feedback import FeedbackController
from faregate.gateway.controllers.foreign_events import ForeignEventsController
from faregate.gateway.controllers.graphql import GraphqlController
from faregate.gateway.controllers.health import HealthController
from faregate.gateway.controllers.ingest_rules import IngestRulesController
from faregate.gateway.controllers.insights import InsightsController
from faregate.gateway.controllers.keys import KeysController
from faregate.gateway.controllers.leases import LeasesController
from faregate.gateway.controllers.lookups import LookupsController
from faregate.gateway.controllers.meters import MetersController
from faregate.gateway.controllers.objectives import ObjectivesController
from faregate.gateway.controllers.operations import OperationsController
from faregate.gateway.controllers.organizations import OrganizationsController
from faregate.gateway.controllers.otlp import OtlpController
from faregate.gateway.controllers.payments import PaymentsController
from faregate.gateway.controllers.plans import PlansController
from faregate.gateway.controllers.portal import PortalController
from faregate.gateway.controllers.portal_links import PortalLinksController
from faregate.gateway.controllers.portal_payments import PortalPaymentsController
from faregate.gateway.controllers.prices import PricesController
from faregate.gateway.controllers.privacy import PrivacyController
from faregate.gateway.controllers.quotas import QuotasController
from faregate.gateway.controllers.reports import ReportsController
from faregate.gateway.controllers.sessions import SessionsController
from faregate.gateway.controllers.tables import TablesController
from faregate.gateway.controllers.usage import UsageController
from faregate.gateway.controllers.usage_events import UsageEventsController
from faregate.gateway.controllers.views import ViewsController
from faregate.gateway.controllers.wallets import WalletsController
from faregate.gateway.controllers.webhooks import WebhooksController
from faregate.gateway.cycles.routes import CyclesRoutes
from faregate.gateway.cycles.service import CyclesService
from faregate.gateway.dashboard.oidc import OidcClient
from faregate.gateway.dashboard.oidc_sign_in import OidcSignIn
from faregate.gateway.graphql.documents import Documents, registered_queries
from faregate.gateway.graphql.services import GraphServices
from faregate.gateway.http.dispatch import Dispatcher
from faregate.gateway.http.operation import Controller
from faregate.gateway.http.rate_limits import RateLimiter, limit_rules
from faregate.gateway.http.redis_clients import RedisClients
from faregate.gateway.http.replica_reads import ReplicaReads
from faregate.gateway.http.response_cache import ResponseCache
from faregate.gateway.http.unit_of_work import UnitOfWork
from faregate.gateway.http.write_marks import WriteMarks
from faregate.gateway.observability.metrics import GatewayMetrics
from faregate.gateway.schemas.portal_look import PortalLook
from faregate.gateway.security.auth import IAuthenticator
from faregate.gateway.security.credentials import Authenticator
from faregate.gateway.security.jwks import KeySet
from faregate.gateway.security.sessions import SessionAuthenticator
from faregate.gateway.security.tokens import SecretSource, TokenRules, Tokens
from faregate.host.container import FaregateContainer

if TYPE_CHECKING:
    from faregate.gateway.graphql.service import GraphService
    from faregate.gateway.tenancy.apps import TenantApps

__all__ = ["GatewayContainer"]


def make_authenticator(settings: Settings, keys: KeyStore) -> Authenticator:
    """Return the authenticator of the settings."""
    key = settings.server_api_key.get_secret_value() if settings.server_api_key else None
    return Authenticator(key, keys, make_tokens(settings))


def make_session_authenticator(
    settings: Settings, credentials: IAuthenticator, sessions: WebSessionStore, keys: KeyStore, portal: PortalLinks
) -> SessionAuthenticator:
    """Return the authenticator of requests with a credential or a session."""
    key = settings.server_api_key.get_secret_value() if settings.server_api_key else None
    return SessionAuthenticator(credentials, sessions, keys, portal, key)


def make_tokens(settings: Settings) -> Tokens | None:
    """Return the verifier of people's tokens; None if the settings configure none."""
    if settings.jwks_url is not None:
        rules = TokenRules(settings.jwt_algorithms, settings.jwt_issuer, settings.jwt_audience)
        return Tokens(KeySet(settings.jwks_url), rules)
    if settings.jwt_secret is not None:
        rules = TokenRules(["HS256"], settings.jwt_issuer, settings.jwt_audience)
        return Tokens(SecretSource(settings.jwt_secret.get_secret_value()), rules)
    return None


def make_oidc(settings: Settings) -> OidcClient | None:
    """Return the client of the issuer with which people sign in; None if the settings name none.

    Raises:
        ConfigurationError: the client id is missing.
    """
    if settings.oidc_issuer is None:
        return None
    if settings.oidc_client_id is None:
        raise ConfigurationError("FAREGATE_OIDC_ISSUER needs FAREGATE_OIDC_CLIENT_ID; set both, or neither")
    secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else None
    return OidcClient(
        settings.oidc_issuer, settings.oidc_client_id, secret, settings.oidc_scopes, settings.jwt_algorithms
    )


def make_graphql(
    documents: Documents,
    services: GraphServices,
    limiter: RateLimiter,
    database: Database,
    audit: AuditLog,
    settings: Settings,
) -> "GraphService":
    """Return the service of GraphQL requests.

    Raises:
        MissingExtraError: the extra `graphql` is not installed.
    """
    if find_spec("strawberry") is None:
        raise MissingExtraError("/graphql", "graphql")
    from faregate.gateway.graphql.schema import graph_schema  # of the extra, and slow to import
    from faregate.gateway.graphql.service import GraphService

    return GraphService(
        graph_schema(),
        documents,
        services,
        limiter,
        database,
        audit,
        cost_limit=settings.graphql_cost_limit,
        timeout_seconds=settings.graphql_timeout_seconds,
    )


def make_tenant_apps(deployment: FaregateContainer, settings: Settings, redis: RedisClients | None) -> "TenantApps":
    """Return the applications of the tenants of a deployment."""
    from faregate.gateway.tenancy.opening import tenant_apps  # it makes containers of this class

    return tenant_apps(deployment, redis, idle_seconds=settings.tenant_idle_seconds)


def make_redis(settings: Settings) -> RedisClients | None:
    """Return the clients of the Redis that the settings name; None without one."""
    return RedisClients(settings.redis_url) if settings.redis_url is not None else None


host = FaregateContainer


class GatewayContainer(FaregateContainer):
    """Needs `settings`; takes what `FaregateContainer` takes; adds `dispatcher`, `controllers`, `cycles`, and for a deployment of
    many tenants `tenant_apps`.
    """

    __self__ = cast("Any", providers.Self())
    redis: providers.Provider[RedisClients | None] = providers.Singleton(make_redis, host.settings)
    tenant_apps: "providers.Provider[TenantApps]" = providers.Singleton(
        make_tenant_apps, __self__, host.settings, redis
    )

    authenticator: providers.Provider[IAuthenticator] = providers.Singleton(
        make_authenticator, host.settings, host.keys
    )
    session_authenticator: providers.Provider[SessionAuthenticator] = providers.Singleton(
        make_session_authenticator, host.settings, authenticator, host.web_sessions, host.keys, host.portal_links
    )
    work: providers.Provider[UnitOfWork] = providers.Singleton(UnitOfWork, host.database, host.idempotency, host.audit)
    limiter: providers.Provider[RateLimiter] = providers.Singleton(
        RateLimiter,
        providers.Callable(limit_rules, host.settings),
        host.clock,
        redis,
        namespace=host.settings.provided.db_schema,
    )
    response_cache: providers.Provider[ResponseCache] = providers.Singleton(
        ResponseCache, host.database, host.settings.provided.kept_answers, redis
    )
    write_marks: providers.Provider[WriteMarks] = providers.Singleton(
        WriteMarks,
        host.settings.provided.read_lag_seconds,
        redis,
        namespace=host.settings.provided.db_schema,
    )
    replica_reads: providers.Provider[ReplicaReads] = providers.Singleton(ReplicaReads, host.database, write_marks)
    dispatcher: providers.Provider[Dispatcher] = providers.Singleton(
        Dispatcher, session_authenticator, limiter, work, response_cache, replica_reads
    )

    metrics: providers.Provider[GatewayMetrics] = providers.Singleton(
        GatewayMetrics,
        limiter,
        host.database,
        providers.List(host.core.container.gauges, host.core.container.replica_gauges, host.credit.container.gauges),
        tenant=host.settings.provided.tenant,
    )
    credits_process_controller: providers.Provider[CreditsProcessController] = providers.Singleton(
        CreditsProcessController,
        host.usage_service,
        host.wallets,
        host.transport,
        host.stories,
        metrics,
    )
    leases_controller: providers.Provider[LeasesController] = providers.Singleton(LeasesController, host.leases)
    usage_controller: providers.Provider[UsageController] = providers.Singleton(UsageController, host.usage_service)
    wallets_controller: providers.Provider[WalletsController] = providers.Singleton(WalletsController, host.wallets)
    dead_letters_controller: providers.Provider[DeadLettersController] = providers.Singleton(
        DeadLettersController, host.dead_letters
    )
    bookkeeping_controller: providers.Provider[BookkeepingController] = providers.Singleton(
        BookkeepingController, host.bookkeeping
    )
    closes_controller: providers.Provider[ClosesController] = providers.Singleton(ClosesController, host.closes)
    features_controller: providers.Provider[FeaturesController] = providers.Singleton(FeaturesController, host.catalog)
    privacy_controller: providers.Provider[PrivacyController] = providers.Singleton(PrivacyController, host.privacy)
    plans_controller: providers.Provider[PlansController] = providers.Singleton(PlansController, host.catalog)
    prices_controller: providers.Provider[PricesController] = providers.Singleton(PricesController, host.price_service)
    organizations_controller: providers.Provider[OrganizationsController] = providers.Singleton(
        OrganizationsController, host.organizations
    )
    feature_logs_controller: providers.Provider[FeatureLogsController] = providers.Singleton(
        FeatureLogsController,
        host.logs,
        host.transport,
        host.redactor,
        host.stories,
        host.ring,
    )
    health_controller: providers.Provider[HealthController] = providers.Singleton(
        HealthController, host.database, host.transport, host.clock, metrics
    )
    keys_controller: providers.Provider[KeysController] = providers.Singleton(
        KeysController, host.database, host.keys, host.spending_limits, host.clock
    )
    webhooks_controller: providers.Provider[WebhooksController] = providers.Singleton(
        WebhooksController, host.database, host.webhooks
    )
    audit_controller: providers.Provider[AuditController] = providers.Singleton(AuditController, host.audit)
    usage_events_controller: providers.Provider[UsageEventsController] = providers.Singleton(
        UsageEventsController, host.recorder, host.event_history
    )
    analytics_controller: providers.Provider[AnalyticsController] = providers.Singleton(
        AnalyticsController,
        host.questions,
        host.patterns,
        host.user_periods,
        host.clock,
        host.settings.provided.credit_price_usd,
    )
    exploration_controller: providers.Provider[ExplorationController] = providers.Singleton(
        ExplorationController,
        host.explorer,
        host.questions,
        analytics_controller,
        session_authenticator,
        host.clock,
        host.settings.provided.credit_price_usd,
    )
    insights_controller: providers.Provider[InsightsController] = providers.Singleton(
        InsightsController, host.forecasts, host.anomalies, host.customers, host.run_outs, host.clock
    )
    costs_controller: providers.Provider[CostsController] = providers.Singleton(CostsController, host.costs, host.clock)
    budgets_controller: providers.Provider[BudgetsController] = providers.Singleton(BudgetsController, host.budgets)
    bills_controller: providers.Provider[BillsController] = providers.Singleton(BillsController, host.bills)
    feedback_controller: providers.Provider[FeedbackController] = providers.Singleton(
        FeedbackController, host.feedback, host.clock
    )
    objectives_controller: providers.Provider[ObjectivesController] = providers.Singleton(
        ObjectivesController, host.objectives
    )
    operations_controller: providers.Provider[OperationsController] = providers.Singleton(
        OperationsController, host.incidents, host.incident_refunds, host.capacity, host.clock
    )
    reports_controller: providers.Provider[ReportsController] = providers.Singleton(
        ReportsController, host.report_service
    )
    quotas_controller: providers.Provider[QuotasController] = providers.Singleton(QuotasController, host.quota_service)
    meters_controller: providers.Provider[MetersController] = providers.Singleton(
        MetersController, host.meters, host.meter_totals, host.clock
    )
    exports_controller: providers.Provider[ExportsController] = providers.Singleton(
        ExportsController, host.exports, host.focus, host.clock
    )
    allowances_controller: providers.Provider[AllowancesController] = providers.Singleton(
        AllowancesController, host.quota_service, host.bookkeeping
    )
    tables_controller: providers.Provider[TablesController] = providers.Singleton(TablesController, host.clock)
    sessions_controller: providers.Provider[SessionsController] = providers.Singleton(
        SessionsController,
        host.database,
        host.web_sessions,
        session_authenticator,
        host.settings.provided.public_url,
    )
    views_controller: providers.Provider[ViewsController] = providers.Singleton(ViewsController, host.saved_views)
    lookups_controller: providers.Provider[LookupsController] = providers.Singleton(
        LookupsController, host.wallets, host.ledger_lookups, host.system_status, host.scaling
    )
    portal_controller: providers.Provider[PortalController] = providers.Singleton(
        PortalController,
        host.wallets,
        host.usage_service,
        host.explorer,
        host.bookkeeping,
        host.clock,
        host.quota_service,
        providers.Singleton(
            PortalLook,
            host.settings.provided.portal_title,
            host.settings.provided.portal_color,
            host.settings.provided.portal_color_dark,
            host.settings.provided.portal_hidden_parts,
            host.settings.provided.portal_names,
        ),
    )
    portal_links_controller: providers.Provider[PortalLinksController] = providers.Singleton(
        PortalLinksController, host.database, host.portal_links, host.settings.provided.public_url
    )
    portal_payments_controller: providers.Provider[PortalPaymentsController] = providers.Singleton(
        PortalPaymentsController, host.payments, host.checkouts, host.settings.provided.public_url
    )
    payments_controller: providers.Provider[PaymentsController] = providers.Singleton(
        PaymentsController, host.payments, host.checkouts, host.stripe_inbox, metrics
    )
    oidc_sign_in: providers.Provider[OidcSignIn] = providers.Singleton(
        OidcSignIn,
        providers.Callable(make_oidc, host.settings),
        host.database,
        host.web_sessions,
        session_authenticator,
        host.audit,
        host.settings.provided.public_url,
    )
    foreign_events_controller: providers.Provider[ForeignEventsController] = providers.Singleton(
        ForeignEventsController, host.foreign_ingest, host.clock
    )
    otlp_controller: providers.Provider[OtlpController] = providers.Singleton(OtlpController, host.foreign_ingest)
    ingest_rules_controller: providers.Provider[IngestRulesController] = providers.Singleton(
        IngestRulesController, host.ingest_rules, host.foreign_ingest
    )
    cycles: providers.Provider[CyclesRoutes] = providers.Singleton(
        CyclesRoutes,
        session_authenticator,
        limiter,
        providers.Singleton(
            CyclesService,
            host.database,
            host.usage_service,
            host.credits,
            host.wallets,
            host.catalog,
            host.clock,
            credit_price_usd=host.settings.provided.credit_price_usd,
        ),
        host.database,
        host.idempotency,
        replica_reads,
    )
    graphql: providers.Provider["GraphService"] = providers.Singleton(
        make_graphql,
        providers.Singleton(
            Documents,
            providers.Callable(registered_queries, host.settings.provided.graphql_queries),
            only_registered=host.settings.provided.graphql_registered_only,
        ),
        providers.Singleton(
            GraphServices,
            wallets=host.wallets,
            many_wallets=host.many_wallets,
            usage=host.usage_service,
            many_uses=host.many_uses,
            stories=host.stories,
            analytics=host.questions,
            patterns=host.patterns,
            clock=host.clock,
            credit_price_usd=host.settings.provided.credit_price_usd,
        ),
        limiter,
        host.database,
        host.audit,
        host.settings,
    )
    graphql_controller: providers.Provider[GraphqlController] = providers.Singleton(GraphqlController, graphql.provider)
    controllers: providers.Provider[list[Controller]] = providers.List(
        credits_process_controller,
        leases_controller,
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
        closes_controller,
        usage_events_controller,
        foreign_events_controller,
        otlp_controller,
        ingest_rules_controller,
        analytics_controller,
        exploration_controller,
        insights_controller,
        costs_controller,
        budgets_controller,
        bills_controller,
        feedback_controller,
        dead_letters_controller,
        objectives_controller,
        operations_controller,
        quotas_controller,
        reports_controller,
        meters_controller,
        exports_controller,
        tables_controller,
        allowances_controller,
        sessions_controller,
        views_controller,
        lookups_controller,
        portal_controller,
        portal_links_controller,
        portal_payments_controller,
        payments_controller,
        graphql_controller,
    )
