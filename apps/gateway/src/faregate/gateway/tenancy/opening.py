"""Opening of the application of one tenant."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from faregate.core.tenants.values import Tenant
from faregate.gateway.container import GatewayContainer
from faregate.gateway.http.redis_clients import RedisClients
from faregate.gateway.main import create_app, open_engines
from faregate.gateway.tenancy.apps import OpenedApp, TenantApps
from faregate.host.container import FaregateContainer
from faregate.host.tenancy.container import tenant_container
from faregate.host.tenancy.engines import SharedEngines

__all__ = ["tenant_apps"]


def tenant_apps(deployment: FaregateContainer, redis: RedisClients | None, *, idle_seconds: float) -> TenantApps:
    """Return the applications of the tenants of `deployment`; none is open yet. All of them use `redis`."""
    engines = SharedEngines(deployment)

    @asynccontextmanager
    async def opened(tenant: Tenant) -> AsyncGenerator[OpenedApp]:
        container = tenant_container(GatewayContainer, deployment, tenant, engines, shared={"redis": redis})
        app = create_app(container, own_lifecycle=False)
        async with open_engines(container, own_redis=False):
            yield OpenedApp(app, container.metrics())

    return TenantApps(deployment.tenants(), opened, engines.close, idle_seconds=idle_seconds)
