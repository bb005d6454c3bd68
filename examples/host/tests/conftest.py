"""The bureau on a real database: the one that FAREGATE_DATABASE_URL names, or an embedded one."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from bureau.app import create_app
from bureau.container import BureauContainer, strategies
from faregate.core import Settings, load_settings
from faregate.core.db.embedded import EmbeddedServer

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
def settings(database_url: str) -> Settings:
    return load_settings(database_url=database_url)


@pytest.fixture
async def bureau(settings: Settings) -> AsyncIterator[BureauContainer]:
    container = BureauContainer(settings=settings, extra_strategies=strategies())
    app = create_app(container)
    async with app.router.lifespan_context(app):
        yield container


@pytest.fixture
async def http(bureau: BureauContainer) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(create_app(bureau))
    async with httpx2.AsyncClient(transport=transport, base_url="http://bureau") as client:
        yield client
