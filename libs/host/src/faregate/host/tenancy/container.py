"""Container of one tenant, on the engines of the deployment."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from dependency_injector import providers

from faregate.core.db.shared_pool import SchemaDatabase
from faregate.core.settings import Settings
from faregate.core.tenants.overrides import settings_of
from faregate.core.tenants.values import Tenant
from faregate.host.container import FaregateContainer
from faregate.host.tenancy.engines import SharedEngines

__all__ = ["tenant_container"]

C = TypeVar("C", bound=FaregateContainer)


def tenant_container(
    kind: Callable[..., C],
    deployment: FaregateContainer,
    tenant: Tenant,
    engines: SharedEngines,
    *,
    shared: Mapping[str, object] | None = None,
) -> C:
    """Return a container of `kind` with the tenant's settings and schema, and the connections and clock of the deployment.

    `shared`: what else it has in common with other tenants, by the name of its provider.

    Raises:
        ConfigurationError: a setting of the tenant is wrong; the text names it.
    """
    settings = settings_of(deployment.settings(), tenant)
    container = kind(settings=settings)
    container.check_dependencies()
    database = SchemaDatabase(deployment.database(), tenant.schema, share=_share(settings))
    replaced: list[tuple[Any, object]] = [
        (container.database, database),
        (container.core.container.wake_ups, engines.wake_ups),
        (container.core.container.broker, engines.broker),
        (container.clock, deployment.clock()),
        *((getattr(container, name), given) for name, given in (shared or {}).items()),
    ]
    for provider, given in replaced:
        provider.override(providers.Object(given))
    return container


def _share(settings: Settings) -> int:
    """Return how many connections the tenant may use at once."""
    return min(settings.db_pool_size, settings.tenant_connections or max(1, settings.db_pool_size // 2))
