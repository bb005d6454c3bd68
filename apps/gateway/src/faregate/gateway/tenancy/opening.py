"""Opening of the application of one tenant."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from faregate.core.messaging.wake_ups import WakeUps
from faregate.core.tenants.values import Tenant
from faregate.gateway.container import GatewayContainer
from faregate.gateway.main import create_app, open_engines
from faregate.gateway.tenancy.apps import OpenedApp, TenantApps
from faregate.host.container import FaregateContainer
from faregate.host.tenancy.container import tenant_container

__all__ = ["tenant_apps"]


def tenant_apps(deployment: FaregateContainer, *, idle_seconds: float) -> TenantApps:
    """Return the applications of the tenants of `deployment`; none is open yet."""
    wake_ups = WakeUps(deployment.database())

    @asynccontextmanager
    async def opened(tenant: Tenant) -> AsyncGenerator[OpenedApp]:
        container = tenant_container(GatewayContainer, deployment, tenant, wake_ups)
        app = create_app(container, own_lifecycle=False)
        async with open_engines(container):
            yield OpenedApp(app, container.metrics())

    return TenantApps(deployment.tenants(), opened, wake_ups.close, idle_seconds=idle_seconds)
