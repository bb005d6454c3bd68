"""Routing of requests to operations.

Paths without parameters are found by one dictionary lookup, the others in order.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote, unquote

from starlette.datastructures import URLPath
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound, Route
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["HELD", "Endpoint", "routes_of"]

_PLAIN = ":@"
"""Characters besides letters, digits and `-._~` that need no encoding in a path."""

_ENCODED = "faregate.encoded_path"
"""Key in a request's scope: its path with encoded parameters, or None if no parameter holds a slash."""

HELD = "held"
"""Key in a request's state: the stack that is closed when the answer has been sent completely, or cannot be sent."""

Endpoint = Callable[[Request], Awaitable[Response]]


def routes_of(paths: Mapping[str, Mapping[str, Endpoint]]) -> list[BaseRoute]:
    """Return one route for each path; it knows all methods of the path, so that a 405 answer can list them.

    Paths without parameters come first, so that `/me` is not read as an id.
    """
    ordered = sorted(paths.items(), key=lambda item: [part.startswith("{") for part in item[0].split("/")])
    routes = [_PathRoute(path, _Methods(methods), methods=list(methods)) for path, methods in ordered]
    return [_Shortcut(route for route in routes if not route.param_convertors), *routes]


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


class _Shortcut(BaseRoute):
    """Looks up routes without parameters by path, so that a request is not matched against each of them.

    It is the first route, and finds out for the others whether the path holds an encoded slash.
    """

    def __init__(self, routes: Iterable[_PathRoute]) -> None:
        self._routes = {route.path: route for route in routes}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        scope[_ENCODED] = encoded = _encoded_path(scope)
        route = self._routes.get(scope["path"])
        if route is None or encoded is not None:
            return Match.NONE, {}
        match, child = route.matches(scope)
        return match, {**child, "route": route}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["route"].handle(scope, receive, send)


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
        request = Request(scope, receive, send)
        async with AsyncExitStack() as held:
            scope.setdefault("state", {})[HELD] = held
            response = await self._methods["GET" if request.method == "HEAD" else request.method](request)
            await response(scope, receive, send)
