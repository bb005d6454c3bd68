"""Fixtures: the TypeScript client, compiled, and a real gateway on a port."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn

from support.apps import KEY, open_gateway, running_worker, settings_for
from support.node import Node, NodePackage
from support.serving import serving

CLIENT = Path(__file__).parents[2] / "clients/typescript"


@pytest.fixture(scope="session")
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NodePackage:
    cache = request.config.cache
    assert cache is not None
    return Node(CLIENT, cache.mkdir("node")).copy(CLIENT, tmp_path_factory.mktemp("typescript") / "client")


@pytest.fixture
async def environment(database_url: str, broker_url: str) -> AsyncIterator[dict[str, str]]:
    """Where a gateway listens that sells a chat by tokens and a paper for 5 credits, with a worker, both on RabbitMQ."""
    settings = settings_for(database_url, broker_url=broker_url)
    async with open_gateway(settings) as gateway, running_worker(settings):
        await gateway.feature("ai_chat_v1", min_credits=2)
        await gateway.feature("paper", strategy="fixed", parameters={"credits": 5})
        await gateway.grant("ada", 100)
        config = uvicorn.Config(gateway.app, port=0, log_level="critical", lifespan="off", ws="none")
        async with serving(config) as url:
            yield {"FAREGATE_URL": url, "FAREGATE_KEY": KEY, "FAREGATE_BROKER": broker_url}
