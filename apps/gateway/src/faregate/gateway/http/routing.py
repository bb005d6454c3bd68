"""Routing of requests to operations.

Paths without parameters are found by one dictionary lookup, the others in order.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from faregate.gateway.http.indexed_headers import IndexedRequest

__all__ = ["DirectRoutes", "Endpoint", "held_by", "routes_of"]

_PLAIN = ":@"
"""Characters besides letters, digits and `-._~` that need no encoding in a path."""

_ENCODED = "faregate.encoded_path"
"""Key in a request's scope: its path with encoded parameters, or None if no parameter holds a slash."""

_HELD = "held"
"""Key in a request's state: the stack that is closed when the answer has been sent completely, or cannot be sent."""

Endpoint = Callable[[Request], Awaitable[Response]]


def routes_of(paths: Mapping[str, Mapping[str, Endpoint]]) -> list[BaseRoute]:
    """Return one route for each path; it knows all methods of the path, so that a 405 answer can list them.

    Paths without parameters come first, so that `/me` is not read as an id.
    """
    ordered = sorted(paths.items(), key=lambda item: [part.startswith("{") for part in item[0].split("/")])
    routes = [_PathRoute(path, _Methods(methods), methods=list(methods)) for path, methods in ordered]
    return [*routes]


def held_by(request: Request) -> AsyncExitStack:
    """Return the stack of what the request holds until its answer has been sent completely, or cannot be sent."""
    state: dict[str, Any] = request.scope["state"]
    held: AsyncExitStack | None = state.get(_HELD)
    if held is None:
        held = state[_HELD] = AsyncExitStack()
    return held


class _PathRoute(Route):
    """A path belongs to the first route that matches it, whatever the method: `/me` is not an id for any method.

    A parameter matches any character, so that a name with a line break is refused as a wrong name by its validation, and
    not as an unknown path. An encoded slash (`%2F`) is a part of the parameter.
    """

    def __init__(self, path: str, endpoint: ASGIApp, *, methods: list[str]) -> None:
        super().__init__(path, endpoint, methods=methods)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        encoded = scope.get(_ENCODED)
        match, child = super().matches(scope if encoded is None else {**scope, "path": encoded})
        if encoded is not None and match is not Match.NONE:
            named = {name: unquote(value) for name, value in child["path_params"].items()}
            child = {**child, "path_params": named}
        return (Match.FULL if match is Match.PARTIAL else match), child


class DirectRoutes:
    """Middleware that serves paths without parameters by one dictionary lookup; all other requests go on to the router.

    A request to one of these paths passes neither the router's matching nor Starlette's handlers of HTTP errors, which our
    endpoints do not use. It also finds out for the other routes whether the path holds an encoded slash.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = {
            route.path: route for route in routes if isinstance(route, _PathRoute) and not route.param_convertors
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[_ENCODED] = encoded = _encoded_path(scope)
        route = None if encoded is not None or scope.get("root_path") else self._routes.get(scope["path"])
        if route is None or scope["method"] not in (route.methods or ()):
            await self._app(scope, receive, send)
            return
        scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, {}
        await route.app(scope, receive, send)


def _encoded_path(scope: Scope) -> str | None:
    """Return the path with encoded parameters if one of them holds a slash (`%2F`); None if not.

    Servers decode the path as a whole, after which the slash of an id cannot be told from one between two parts of the path.
    """
    raw: bytes = scope.get("raw_path") or b""
    if b"%2f" not in raw and b"%2F" not in raw:
        return None
    return "/".join(quote(unquote(part), safe=_PLAIN) for part in raw.decode("latin-1").split("/"))


class _Methods:
    """The methods of one path as an ASGI application; Starlette would wrap functions in a layer that ours already have."""

    def __init__(self, methods: Mapping[str, Endpoint]) -> None:
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = IndexedRequest(scope, receive, send)
        try:
            response = await self._methods["GET" if request.method == "HEAD" else request.method](request)
            await response(scope, receive, send)
        finally:
            held: AsyncExitStack | None = scope["state"].get(_HELD)
            if held is not None:
                await held.aclose()
