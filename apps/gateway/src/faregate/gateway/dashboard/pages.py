"""Routes of the dashboard's files.

The pages load nothing from other servers; scripts and styles within a page are forbidden.
"""

import re
from collections.abc import Mapping
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from faregate.gateway.http.sent_files import SentFiles

__all__ = ["HEADERS", "ROOT", "asset", "asset_names", "dashboard_routes", "page"]

ROOT = "/dashboard"
_PLACE = files("faregate.gateway.dashboard").joinpath("assets")
_VENDORED = frozenset({"uplot.js", "uplot.css", "uplot.license.txt"})
"""Files of others, which are sent as they were published."""

_NOT_SENT = re.compile(rb"^[ \t]*//.*\n|^[ \t]+", re.MULTILINE)
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
)


def _headers(ancestors: str = "'none'") -> dict[str, str]:
    return {
        "content-security-policy": _POLICY.format(ancestors=ancestors),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cache-control": "no-cache",
    }


HEADERS: Mapping[str, str] = _headers()


def dashboard_routes(*, oidc: bool) -> list[BaseRoute]:
    """Return the routes of the pages and their files; `oidc`: whether people may sign in with an issuer."""

    async def config(_request: Request) -> Response:
        return JSONResponse({"oidc": oidc}, headers=dict(HEADERS))

    return [
        Route(ROOT, _dashboard),
        Route(f"{ROOT}/config.json", config),
        Route(f"{ROOT}/assets/{{name}}", _asset),
        Route(f"{ROOT}/{{page:path}}", _dashboard),
    ]


def asset_names() -> list[str]:
    """Return the names of all files."""
    return sorted(found.name for found in _PLACE.iterdir() if found.is_file())


def asset(name: str) -> bytes:
    """Return a file as it is sent: of the dashboard's own scripts without indentation and lines of comments."""
    content = _PLACE.joinpath(name).read_bytes()
    return content if name in _VENDORED or not name.endswith(".js") else _NOT_SENT.sub(b"", content)


_FILES = SentFiles(asset_names, asset)


async def page(name: str, request: Request, *, ancestors: str = "'none'") -> Response:
    """Return a page; `ancestors` are the origins whose pages may show it in a frame."""
    return await _FILES.answer(name, request, _headers(ancestors))


async def _dashboard(request: Request) -> Response:
    return await page("index.html", request)


async def _asset(request: Request) -> Response:
    return await _FILES.answer(request.path_params["name"], request, HEADERS)
