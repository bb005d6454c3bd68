"""Routes of `/openapi.json` and `/docs`.

The page shows the document and loads nothing from other servers.
"""

import html
from functools import lru_cache
from importlib.metadata import distribution, version
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from faregate.gateway.http.error_pages import error_pages
from faregate.gateway.http.operation import Operation
from faregate.gateway.http.sent_files import SentFiles
from faregate.gateway.openapi.document import build_document
from faregate.wire import exact_json

__all__ = ["documentation_routes"]

_ASSETS = frozenset({"swagger_bundle.js", "swagger_preset.js", "swagger_style.css"})
_DOCUMENT = "openapi.json"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Faregate: the HTTP interface</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/assets/swagger_style.css"></head>
<body><div id="swagger-ui"></div>
<script src="/docs/assets/swagger_bundle.js"></script><script src="/docs/assets/swagger_preset.js"></script>
<script src="/docs/assets/start.js"></script></body></html>
"""

_START = """window.ui = SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, persistAuthorization: false, validatorUrl: null,
  tryItOutEnabled: true, displayRequestDuration: true, filter: true,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset], layout: "BaseLayout",
});
"""


def documentation_routes(operations: list[Operation]) -> list[BaseRoute]:
    """Return the routes; the document is built at the first request, in a thread: it takes long."""

    document = SentFiles(lambda: [_DOCUMENT], lambda _: _document(tuple(operations)))

    async def openapi(request: Request) -> Response:
        return await document.answer(_DOCUMENT, request, {"cache-control": "no-cache"})

    return [
        Route(f"/{_DOCUMENT}", openapi),
        Route("/docs", _page),
        Route("/docs/errors", _errors),
        Route("/docs/assets/{name}", _asset),
    ]


@lru_cache(maxsize=2)
def _document(operations: tuple[Operation, ...]) -> bytes:
    """Return the document, built once for all applications of a process that serve the same calls, such as those of tenants."""
    return exact_json.dumps(build_document(operations, version=version("faregate")))


async def _page(_request: Request) -> Response:
    return Response(_PAGE, media_type="text/html", headers=_HEADERS)


async def _errors(_request: Request) -> Response:
    sections = "".join(
        f'<h2 id="{page.code}"><code>{page.code}</code> <small>{page.status}</small></h2>'
        f"<p>{html.escape(page.meaning)}</p><p><b>What to do:</b> {html.escape(page.fix)}</p>"
        for page in error_pages()
    )
    content = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Faregate: errors</title>
<link rel="icon" href="data:,"><style>body{{max-width:50rem;margin:2rem auto;padding:0 1rem;font-family:system-ui}}
:target{{background:#fff3b0;color:#000}}</style></head><body><h1>Errors</h1>{sections}</body></html>"""
    return Response(content, media_type="text/html", headers=_HEADERS)


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name == "start.js":
        return Response(_START, media_type="text/javascript", headers=_HEADERS)
    return await _FILES.answer(name, request, {**_HEADERS, "cache-control": "public, max-age=86400"})


def _content(name: str) -> bytes:
    """Return a file of the package `offapi`, which is read without importing the package: its import copies 9 MB."""
    return Path(str(distribution("offapi").locate_file(f"offapi/{name}"))).read_bytes()


_FILES = SentFiles(lambda: _ASSETS, _content)
