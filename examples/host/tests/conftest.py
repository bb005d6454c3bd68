"""The bureau on a real database: the one that FAREGATE_DATABASE_URL names, or an embedded one."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bureau.app import create_app, make_engine, make_fare
from faregate.core.db.embedded import EmbeddedServer
from faregate.host import Faregate

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = os.environ.get("FAREGATE_DATABASE_URL")
    server = None if given else EmbeddedServer(tmp_path_factory.mktemp("pg"), durable=False)
    if server is not None:
        server.start_now()
    url = given or (server.url if server else "")
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "FAREGATE_DATABASE_URL": url})
    yield url
    if server is not None:
        server.stop_now()


@pytest.fixture
def fare(database_url: str) -> Faregate:
    return make_fare(database_url)


@pytest.fixture
def engine(database_url: str) -> AsyncEngine:
    return make_engine(database_url)


@pytest.fixture
async def http(fare: Faregate, engine: AsyncEngine) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(fare, engine)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://bureau") as client,
    ):
        yield client
