"""Routes of the dashboard's files.

The pages load nothing from other servers; scripts and styles within a page are forbidden.
"""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

__all__ = ["HEADERS", "ROOT", "asset", "asset_names", "dashboard_routes", "page"]

ROOT = "/dashboard"
_PLACE = files("faregate.gateway.dashboard").joinpath("assets")
_KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "txt": "text/plain", "html": "text/html"}
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
        "vary": "accept-encoding",
    }


HEADERS: Mapping[str, str] = _headers()


@dataclass(frozen=True, slots=True)
class _File:
    plain: bytes
    zipped: bytes
    tag: str
    media_type: str


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


def page(name: str, request: Request, *, ancestors: str = "'none'") -> Response:
    """Return a page; `ancestors` are the origins whose pages may show it in a frame."""
    return _answer(_file(name), request, _headers(ancestors))


async def _dashboard(request: Request) -> Response:
    return page("index.html", request)


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _names():
        return Response("File not found\n", status_code=404, media_type="text/plain", headers=dict(HEADERS))
    return _answer(_file(name), request, dict(HEADERS))


def _answer(file: _File, request: Request, headers: dict[str, str]) -> Response:
    headers["etag"] = file.tag
    if file.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.plain, media_type=file.media_type, headers=headers)
    headers["content-encoding"] = "gzip"
    return Response(file.zipped, media_type=file.media_type, headers=headers)


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(asset_names())


@lru_cache(maxsize=128)
def _file(name: str) -> _File:
    content = asset(name)
    kind = _KINDS[name.rpartition(".")[2]]
    return _File(content, gzip.compress(content, 9, mtime=0), f'"{sha256(content).hexdigest()[:20]}"', kind)
