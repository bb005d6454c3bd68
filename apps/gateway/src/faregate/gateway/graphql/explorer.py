"""Routes of the explorer, a page that writes and runs GraphQL queries.

It loads nothing from other servers, and neither evaluates text nor holds scripts or styles of its own.
"""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from faregate.gateway.dashboard.pages import HEADERS
from faregate.gateway.http.sent_files import SentFiles

__all__ = ["EXPLORER", "explorer_routes"]

EXPLORER = "/graphql/explorer"
_PLACE = files("faregate.gateway.graphql").joinpath("assets")


def explorer_routes() -> list[BaseRoute]:
    """Return the routes of the page and its files."""
    return [Route(EXPLORER, _page), Route(f"{EXPLORER}/{{name}}", _asset)]


async def _page(request: Request) -> Response:
    return await _FILES.answer("explorer.html", request, HEADERS)


async def _asset(request: Request) -> Response:
    return await _FILES.answer(request.path_params["name"], request, HEADERS)


def _names() -> frozenset[str]:
    return frozenset(found.name for found in _PLACE.iterdir() if found.is_file())


def _content(name: str) -> bytes:
    return _PLACE.joinpath(name).read_bytes()


_FILES = SentFiles(_names, _content)
