"""Wiring of the shared infrastructure: database, transport, keys, webhooks."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from dependency_injector import containers, providers

from faregate.core.access.audit import AuditLog
from faregate.core.access.idempotency import IdempotencyStore
from faregate.core.access.key_store import KeyStore
from faregate.core.access.portal_links import PortalLinks
from faregate.core.access.web_sessions import WebSessionStore
from faregate.core.clock import IClock, SystemClock
from faregate.core.db.database import Database
from faregate.core.db.embedded import EmbeddedServer, default_data_dir
from faregate.core.db.replica import Replica
from faregate.core.db.subjects import Subjects
from faregate.core.errors import ConfigurationError, EngineUnavailableError, MissingExtraError
from faregate.core.logging import get_logger
from faregate.core.messaging.dead_letters import DeadLetterService
from faregate.core.messaging.interfaces import ITransport
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.core.messaging.wake_ups import WakeUps
from faregate.core.monitoring.gauges import QueueGauges
from faregate.core.monitoring.heartbeats import Heartbeats
from faregate.core.monitoring.replica_status import ReplicaGauges
from faregate.core.monitoring.scaling import QueueScaling
from faregate.core.monitoring.system import SystemStatus
from faregate.core.privacy.key_ring import KeyRing, parse_keys
from faregate.core.settings import Settings
from faregate.core.tenants.registry import TenantRegistry
from faregate.core.tenants.service import TenantService
from faregate.core.tenants.values import tag_of
from faregate.core.webhooks.egress import Egress
from faregate.core.webhooks.endpoints import WebhookStore
from faregate.core.webhooks.outgoing_events import Announcer

if TYPE_CHECKING:
    from faregate.core.messaging.rabbitmq.shared_connections import SharedConnections
    from faregate.core.messaging.rabbitmq.transport import RabbitTransport

__all__ = ["CoreContainer", "check_queues", "engines", "make_database", "remove_queues", "shared_broker"]

log = get_logger(__name__)


def make_database(settings: Settings) -> Database:
    """Return the database that `settings` name: a server by URL, or the embedded one."""
    server = None
    if settings.database_url is None:
        if settings.direct_database_url is not None:
            raise ConfigurationError(
                "FAREGATE_DIRECT_DATABASE_URL is set, but not FAREGATE_DATABASE_URL, the address of the pooler; "
                "without a pooler set FAREGATE_DATABASE_URL only"
            )
        server = EmbeddedServer(settings.data_dir or default_data_dir())
    return Database(
        settings.database_url,
        server=server,
        direct_url=settings.direct_database_url,
        schema=settings.db_schema,
        pool_size=settings.db_pool_size,
        statement_timeout_seconds=settings.db_statement_timeout_seconds,
        lock_timeout_seconds=settings.db_lock_timeout_seconds,
        replica=make_replica(settings),
    )


def make_replica(settings: Settings) -> Replica | None:
    """Return the read replica that `settings` name, or None."""
    if settings.read_database_url is None:
        return None
    database = Database(
        settings.read_database_url,
        schema=settings.db_schema,
        pool_size=settings.db_pool_size,
        statement_timeout_seconds=settings.db_statement_timeout_seconds,
        lock_timeout_seconds=settings.db_lock_timeout_seconds,
    )
    return Replica(database, lag_seconds=settings.read_lag_seconds)


def make_transport(
    settings: Settings,
    database: Database,
    clock: IClock | None = None,
    wake_ups: WakeUps | None = None,
    broker: "SharedConnections | None" = None,
) -> ITransport:
    """Return the transport that `settings` name: RabbitMQ by URL, or the table `message`."""
    if settings.broker_url is None:
        return PostgresTransport(database, wake_ups)
    return _rabbit_transport(settings, settings.broker_url, clock, broker)


def shared_broker(settings: Settings, clock: IClock) -> "SharedConnections | None":
    """Return connections to RabbitMQ that tenants share; None if the settings name no broker."""
    if settings.broker_url is None:
        return None
    try:
        from faregate.core.messaging.rabbitmq.nodes import Nodes
        from faregate.core.messaging.rabbitmq.shared_connections import SharedConnections
    except ModuleNotFoundError as error:
        raise MissingExtraError("FAREGATE_BROKER_URL", "rabbitmq") from error
    return SharedConnections(Nodes(settings.broker_url, clock))


async def remove_queues(settings: Settings) -> None:
    """Delete the queues of these settings' tenant on RabbitMQ; those in PostgreSQL end with the tenant's tables."""
    if settings.broker_url is not None:
        await _rabbit_transport(settings, settings.broker_url).remove_queues()


async def check_queues(settings: Settings) -> None:
    """Check that the broker of these settings can be reached; raises `EngineUnavailableError`."""
    if settings.broker_url is not None:
        await _rabbit_transport(settings, settings.broker_url).check()


def _rabbit_transport(
    settings: Settings, broker_url: str, clock: IClock | None = None, broker: "SharedConnections | None" = None
) -> "RabbitTransport":
    try:
        from faregate.core.messaging.rabbitmq.names import QueueNames
        from faregate.core.messaging.rabbitmq.transport import RabbitTransport
    except ModuleNotFoundError as error:
        raise MissingExtraError("FAREGATE_BROKER_URL", "rabbitmq") from error
    prefetch = 2 * settings.settle_batch_size
    names = QueueNames.of(settings.tenant)
    return RabbitTransport(
        broker_url, queue_type=settings.queue_type, prefetch=prefetch, clock=clock, names=names, shared=broker
    )


def make_key_store(settings: Settings, database: Database, clock: IClock) -> KeyStore:
    """Return the store of this deployment's API keys."""
    tag = tag_of(settings.tenant) if settings.tenant is not None else ""
    return KeyStore(database, clock, settings.key_pepper.get_secret_value(), tag)


def make_ring(settings: Settings) -> KeyRing:
    """Return the key ring for encryption at rest, or one without keys, which encrypts nothing."""
    return KeyRing(parse_keys(settings.log_keys.get_secret_value() if settings.log_keys else None))


@asynccontextmanager
async def engines(database: Database, transport: ITransport) -> AsyncGenerator[Database]:
    """Keep the engines open between start-up and shutdown.

    An unavailable broker does not prevent start-up: starts and settlements by HTTP work without it, and whatever needs the broker
    connects when it does.

    Raises:
        EngineUnavailableError: the database is unavailable; the text names its address, the reason and the fix.
        ConfigurationError: a setting of the database is wrong.
    """
    await database.open()
    try:
        await database.check()
        await _connect(transport)
        yield database
    finally:
        await transport.close()
        await database.close()


async def _connect(transport: ITransport) -> None:
    try:
        await transport.open()
    except EngineUnavailableError as error:
        log.warning(
            "queue_unavailable_at_start", reason=error.detail, advice="the connection is retried when it is needed"
        )


class CoreContainer(containers.DeclarativeContainer):
    """Container of the core. Needs `settings`; exports `database`, `transport`, `outbox`, `dead_letters`, `subjects`,
    `heartbeats`, `gauges`, `replica_gauges`, `scaling`, `system_status`, `idempotency`, `audit`, `keys`,
    `web_sessions`, `portal_links`, `egress`, `announcer`, `webhooks`, `ring`, `tenants`, `tenant_service`
    and `clock`.
    """

    settings: providers.Provider[Settings] = providers.Dependency(instance_of=Settings)

    clock: providers.Provider[IClock] = providers.Singleton(SystemClock)
    database: providers.Provider[Database] = providers.Singleton(make_database, settings)
    wake_ups: providers.Provider[WakeUps | None] = providers.Object(None)
    broker: "providers.Provider[SharedConnections | None]" = providers.Object(None)
    transport: providers.Provider[ITransport] = providers.Singleton(
        make_transport, settings, database, clock, wake_ups, broker
    )
    outbox: providers.Provider[PostgresTransport] = providers.Singleton(PostgresTransport, database, wake_ups)
    dead_letters: providers.Provider[DeadLetterService] = providers.Singleton(DeadLetterService, transport, outbox)
    subjects: providers.Provider[Subjects] = providers.Singleton(Subjects, database)
    heartbeats: providers.Provider[Heartbeats] = providers.Singleton(Heartbeats, database)
    gauges: providers.Provider[QueueGauges] = providers.Singleton(
        QueueGauges, transport, outbox, dead_letters, heartbeats, clock
    )
    replica_gauges: providers.Provider[ReplicaGauges] = providers.Singleton(ReplicaGauges, database)
    scaling: providers.Provider[QueueScaling] = providers.Singleton(QueueScaling, transport, outbox, heartbeats, clock)
    system_status: providers.Provider[SystemStatus] = providers.Singleton(SystemStatus, database, gauges)
    idempotency: providers.Provider[IdempotencyStore] = providers.Singleton(IdempotencyStore, database)
    audit: providers.Provider[AuditLog] = providers.Singleton(AuditLog, database, subjects)
    portal_links: providers.Provider[PortalLinks] = providers.Singleton(PortalLinks, database, subjects)
    egress: providers.Provider[Egress] = providers.Singleton(
        Egress, allow_private=settings.provided.webhook_allow_private
    )
    ring: providers.Provider[KeyRing] = providers.Singleton(make_ring, settings)
    tenants: providers.Provider[TenantRegistry] = providers.Singleton(TenantRegistry, database, ring)
    tenant_service: providers.Provider[TenantService] = providers.Singleton(
        TenantService, database, tenants, settings, clock
    )
    announcer: providers.Provider[Announcer] = providers.Singleton(Announcer, database)
    webhooks: providers.Provider[WebhookStore] = providers.Singleton(WebhookStore, database, egress, ring)
    keys: providers.Provider[KeyStore] = providers.Singleton(make_key_store, settings, database, clock)
    web_sessions: providers.Provider[WebSessionStore] = providers.Singleton(
        WebSessionStore, database, subjects, settings.provided.session_seconds
    )
