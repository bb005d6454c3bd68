"""Answers about a process that serves many tenants."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from faregate.core.errors import FaregateError
from faregate.core.monitoring.prometheus import by_tenant
from faregate.core.tenants.values import TenantState
from faregate.gateway.container import GatewayContainer
from faregate.gateway.http.envelope import failure
from faregate.gateway.observability.metrics import counting
from faregate.gateway.observability.middleware import RequestContext
from faregate.gateway.security.auth import IAuthenticator
from faregate.gateway.security.auth import Scope as Permission
from faregate.gateway.security.client_address import ForwardedAddress
from faregate.gateway.tenancy.apps import TenantApps
from faregate.gateway.tenancy.front import REFUSAL, TenantFront

__all__ = ["create_front", "watched"]

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def create_front(container: GatewayContainer, lifespan: Lifespan | None) -> Starlette:
    """Return the application in front of those of the tenants of the deployment of `container`."""
    apps, settings = container.tenant_apps(), container.settings()
    counts = _Counts(apps)
    metrics = _MetricsRoute(apps, counts, container.authenticator())
    proxies = [Middleware(ForwardedAddress, settings.proxy_networks)] if settings.proxy_networks else []
    context = Middleware(
        RequestContext, clock=container.clock(), metrics=container.metrics(), access_log=settings.access_log
    )
    app = Starlette(
        routes=[Route("/metrics", metrics.answer), *container.dispatcher().routes([container.health_controller()])],
        middleware=[
            Middleware(TenantFront, apps, counts.refused),
            *proxies,
            context,
            Middleware(_Refusals),
        ],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


@asynccontextmanager
async def watched(apps: TenantApps) -> AsyncGenerator[None]:
    """Drop applications of tenants that are not needed any more, until the block ends; then close all."""
    await apps.current()
    watching = asyncio.create_task(apps.watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        await apps.close()


class _Refusals:
    """Answers requests that no tenant gets."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error: FaregateError | None = scope.get(REFUSAL)
        if error is None:
            await self._app(scope, receive, send)
            return
        await failure(error, request_id=scope["state"]["request_id"])(scope, receive, send)


class _MetricsRoute:
    """`/metrics` of the process: what it has counted for each tenant. It names the tenants, so that it needs a credential."""

    def __init__(self, apps: TenantApps, counts: "_Counts", authenticator: IAuthenticator) -> None:
        self._apps = apps
        self._registry = CollectorRegistry()
        self._registry.register(counts)
        self._authenticator = authenticator

    async def answer(self, request: Request) -> Response:
        """Return the metrics to a credential of the deployment that may read its state."""
        try:
            caller = await self._authenticator.authenticate(
                request.headers, address=request.client.host if request.client else None
            )
            caller.enter(Permission.OPS_READ)
        except FaregateError as error:
            return failure(error, request_id=request.scope["state"]["request_id"])
        return Response(self._text() + generate_latest(self._registry), media_type="text/plain")

    def _text(self) -> bytes:
        shared = counting(self._registry)
        if shared is not self._registry:
            return generate_latest(shared)
        return by_tenant({held.tenant.key: held.opened.metrics.counted() for held in self._apps.held})


class _Counts(Collector):
    """Tenants by state, and requests that no tenant got."""

    def __init__(self, apps: TenantApps) -> None:
        self.refused: Counter[str] = Counter()
        self._apps = apps

    def collect(self) -> Iterator[Metric]:
        opened = GaugeMetricFamily("faregate_tenants_open", "Tenants that this process holds in memory")
        opened.add_metric([], len(self._apps.held))
        yield opened
        known = GaugeMetricFamily("faregate_tenants", "Tenants of the deployment", labels=["state"])
        states = Counter(tenant.state for tenant in self._apps.known)
        for state in TenantState:
            known.add_metric([state.value], states[state])
        yield known
        refused = CounterMetricFamily("faregate_tenant_refusals", "Requests that no tenant got", labels=["code"])
        for code, count in self.refused.items():
            refused.add_metric([code], count)
        yield refused
