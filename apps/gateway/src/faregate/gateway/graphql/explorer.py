"""Routes of the explorer, a page that writes and runs GraphQL queries.

It loads nothing from other servers, and neither evaluates text nor holds scripts or styles of its own.
"""

import gzip
from functools import lru_cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from faregate.gateway.dashboard.pages import HEADERS

__all__ = ["EXPLORER", "explorer_routes"]

EXPLORER = "/graphql/explorer"
_PLACE = files("faregate.gateway.graphql").joinpath("assets")
_KINDS = {"js": "text/javascript", "css": "text/css", "html": "text/html"}


def explorer_routes() -> list[BaseRoute]:
    """Return the routes of the page and its files."""
    return [Route(EXPLORER, _page), Route(f"{EXPLORER}/{{name}}", _asset)]


async def _page(request: Request) -> Response:
    return _file("explorer.html", request)


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _names():
        return Response("File not found\n", status_code=404, media_type="text/plain", headers=dict(HEADERS))
    return _file(name, request)


def _file(name: str, request: Request) -> Response:
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    headers = {**HEADERS, **({"content-encoding": "gzip"} if zipped else {})}
    return Response(_content(name, zipped=zipped), media_type=_KINDS[name.rpartition(".")[2]], headers=headers)


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(found.name for found in _PLACE.iterdir() if found.is_file())


@lru_cache(maxsize=32)
def _content(name: str, *, zipped: bool) -> bytes:
    content = _PLACE.joinpath(name).read_bytes()
    return gzip.compress(content, 9, mtime=0) if zipped else content
