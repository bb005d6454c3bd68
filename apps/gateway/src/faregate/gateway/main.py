"""ASGI application and server of the gateway."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route

from faregate.core.errors import EngineUnavailableError
from faregate.core.logging import configure_logging, get_logger
from faregate.core.runtime.gc_tuning import raise_gc_thresholds
from faregate.core.settings import Settings, load_settings
from faregate.core.settings.unchecked_claims import unchecked_claims
from faregate.gateway.container import GatewayContainer
from faregate.gateway.dashboard.pages import dashboard_routes
from faregate.gateway.dashboard.portal_page import portal_routes
from faregate.gateway.dashboard.unsubscribe_page import unsubscribe_routes
from faregate.gateway.errors import MethodNotAllowedError, RouteNotFoundError
from faregate.gateway.graphql.explorer import explorer_routes
from faregate.gateway.http.cross_origin import cross_origin
from faregate.gateway.http.envelope import failure
from faregate.gateway.http.operation import Controller, Operation, operations_of
from faregate.gateway.http.path_hints import path_meant
from faregate.gateway.http.protocol import BoundedProtocol
from faregate.gateway.http.routing import DirectRoutes
from faregate.gateway.observability.middleware import RequestContext
from faregate.gateway.observability.tracing import tracing
from faregate.gateway.openapi.pages import documentation_routes
from faregate.gateway.security.client_address import ForwardedAddress
from faregate.gateway.security.jwks import KeySet
from faregate.gateway.tenancy.process import create_front, watched

__all__ = ["create_app", "from_environment", "open_engines", "server_config"]

log = get_logger(__name__)

_PATH_SHOWN = 500


def create_app(container: GatewayContainer, *, own_lifecycle: bool = True) -> Starlette:
    """Return the application of `container`; with `own_lifecycle` its lifespan opens and closes the engines.

    With FAREGATE_MULTI_TENANT it is the application in front of those of the tenants.
    """
    container.check_dependencies()
    settings = container.settings()
    lifespan = _lifespan(container) if own_lifecycle else None
    if settings.multi_tenant:
        return create_front(container, lifespan)
    controllers = container.controllers()
    _warn_of_unchecked_claims(settings)
    calls = container.dispatcher().routes(controllers)
    app = Starlette(
        routes=[
            *calls,
            *container.cycles().routes(),
            *documentation_routes(_operations(controllers)),
            *explorer_routes(),
            *container.oidc_sign_in().routes(),
            *unsubscribe_routes(container.report_service()),
            *portal_routes(container.portal_links()),
            *dashboard_routes(oidc=settings.oidc_issuer is not None),
        ],
        middleware=[
            *cross_origin(settings.cors_origin_list),
            *_proxies(settings),
            *tracing(settings),
            Middleware(
                RequestContext, clock=container.clock(), metrics=container.metrics(), access_log=settings.access_log
            ),
            Middleware(DirectRoutes, calls),
        ],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would lose the body, and name the host of the Host header
    return app


def _warn_of_unchecked_claims(settings: Settings) -> None:
    for each in unchecked_claims(settings):
        log.warning("claim_not_checked", claim=each.claim, risk=each.risk, fix=f"set {each.setting}")


def _proxies(settings: Settings) -> list[Middleware]:
    return [Middleware(ForwardedAddress, settings.proxy_networks)] if settings.proxy_networks else []


def _operations(controllers: Sequence[Controller]) -> list[Operation]:
    return [declared for controller in controllers for declared, _ in operations_of(controller)]


def from_environment() -> Starlette:
    """Return the application of the environment's settings, for `uvicorn --factory`, and configure logging."""
    settings = load_settings()
    configure_logging(style=settings.log_format, level=settings.log_level)
    app = create_app(GatewayContainer(settings=settings))
    raise_gc_thresholds()
    return app


def server_config(app: Starlette, settings: Settings) -> uvicorn.Config:
    """Return the server configuration for `app`; on a stop, requests in flight are finished."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=BoundedProtocol,
        proxy_headers=False,  # ForwardedAddress trusts the proxies of the settings; uvicorn would trust loopback
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=20,
    )


def _lifespan(container: GatewayContainer) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with open_engines(container):
            yield

    return lifespan


@asynccontextmanager
async def open_engines(container: GatewayContainer, *, own_redis: bool = True) -> AsyncGenerator[None]:
    """Keep the engines open that an application made with `own_lifecycle=False` needs.

    `own_redis`: close the clients of Redis at the end; tenants use those of the process.

    An identity provider that does not answer is logged and prevents nothing: calls with an API key work without it.

    Raises:
        EngineUnavailableError: the database is unavailable; the text names its address, the reason and the fix.
    """
    async with container.engines(), AsyncExitStack() as opened:
        redis = container.redis()
        if redis is not None and own_redis:
            opened.push_async_callback(redis.close)
        opened.push_async_callback(container.response_cache().close)
        looking = asyncio.create_task(_report_key_set(container.settings().jwks_url))
        opened.callback(looking.cancel)
        if container.settings().multi_tenant:
            await opened.enter_async_context(watched(container.tenant_apps()))
        yield


async def _report_key_set(url: str | None) -> None:
    try:
        if url is not None:
            await KeySet(url).check()
    except EngineUnavailableError as error:
        log.warning("jwks_unusable", reason=error.detail)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this exception only
    request_id = request.scope["state"]["request_id"]
    if error.status_code == 405:
        known = (error.headers or {}).get("Allow", "")
        answer = MethodNotAllowedError(f"{request.method} is not allowed for this path; allowed: {known}")
        return failure(answer, request_id=request_id, headers={"allow": known})
    path = request.scope["path"]
    if path == "/" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/dashboard", status_code=303)
    hint = f"remove the slash at the end: {path.rstrip('/')}" if _is_known_without_slash(request) else _meant(request)
    shown = request.url.path[:_PATH_SHOWN]
    return failure(RouteNotFoundError(f"There is nothing at {shown}; {hint}"), request_id=request_id)


def _meant(request: Request) -> str:
    paths = [route.path for route in request.app.routes if isinstance(route, Route) and "{" not in route.path]
    meant = path_meant(request.scope["path"], paths)
    return f"did you mean {meant}? See /docs" if meant else "see /docs"


def _is_known_without_slash(request: Request) -> bool:
    path = request.scope["path"]
    shorter = path.rstrip("/")
    if shorter in {path, ""} or len(path) > _PATH_SHOWN:
        return False
    raw = (request.scope.get("raw_path") or b"").rstrip(b"/")
    asked = {**request.scope, "path": shorter, "raw_path": raw}
    return any(route.matches(asked)[0] is not Match.NONE for route in request.app.routes)
