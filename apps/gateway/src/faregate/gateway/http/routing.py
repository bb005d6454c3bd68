"""Which operation a request is for: paths without parameters are found by one look, the others in order."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from starlette.datastructures import URLPath
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound, Route
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["HELD", "Endpoint", "routes_of"]

HELD = "held"
"""In a request's state: what is let go of when the answer has been sent to its end, or cannot be sent."""

Endpoint = Callable[[Request], Awaitable[Response]]


def routes_of(paths: Mapping[str, Mapping[str, Endpoint]]) -> list[BaseRoute]:
    """Return a route per path; it knows all methods of the path, so that a wrong one is told the right ones.

    Paths without parameters come first, so that `/me` is not taken for an id.
    """
    ordered = sorted(paths.items(), key=lambda item: [part.startswith("{") for part in item[0].split("/")])
    routes = [_PathRoute(path, _Methods(methods), methods=list(methods)) for path, methods in ordered]
    return [_Shortcut(route for route in routes if not route.param_convertors), *routes]


class _PathRoute(Route):
    """A path belongs to the first route that fits it, whatever the method: `/me` is no id, not even for another method.

    What stands for a parameter may hold any character, so that a line break in a name is told to be wrong by whoever
    knows the name, and is no unknown path.
    """

    def __init__(self, path: str, endpoint: ASGIApp, *, methods: list[str]) -> None:
        super().__init__(path, endpoint, methods=methods)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL else match), child


class _Shortcut(BaseRoute):
    """Stands for routes without parameters, so that a request for one of them is not held against all the others."""

    def __init__(self, routes: Iterable[_PathRoute]) -> None:
        self._routes = {route.path: route for route in routes}

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        route = self._routes.get(scope["path"])
        if route is None:
            return Match.NONE, {}
        match, child = route.matches(scope)
        return match, {**child, "route": route}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["route"].handle(scope, receive, send)


class _Methods:
    """The methods of one path, as an application: Starlette wraps functions in what ours have around them already."""

    def __init__(self, methods: Mapping[str, Endpoint]) -> None:
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        async with AsyncExitStack() as held:
            scope.setdefault("state", {})[HELD] = held
            response = await self._methods["GET" if request.method == "HEAD" else request.method](request)
            await response(scope, receive, send)
