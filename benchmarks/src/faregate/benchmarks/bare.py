"""Baseline of `start` over HTTP: Starlette, asyncpg and one conditional UPDATE.

It is run by uvicorn in its own process, on the database that the environment names.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from faregate.core.db.embedded import EmbeddedServer, default_data_dir
from faregate.core.settings import load_settings

__all__ = ["app"]

_RESERVE = """
update bare_wallet set held = held + 1 where owner_id = $1 and credits - held >= 1 returning credits - held as free
"""


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    """Hold a connection pool while the application runs."""
    settings = load_settings()
    url = EmbeddedServer(settings.data_dir or default_data_dir()).url
    async with asyncpg.create_pool(url, min_size=10, max_size=10) as pool:
        app.state.pool = pool
        yield


async def start(request: Request) -> JSONResponse:
    """Reserve one credit."""
    body = await request.json()
    free = await request.app.state.pool.fetchval(_RESERVE, body["user_id"])
    return JSONResponse({"status": "accessible", "credits": free})


app = Starlette(routes=[Route("/start", start, methods=["POST"])], lifespan=lifespan)
