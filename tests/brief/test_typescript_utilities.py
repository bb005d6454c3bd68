"""The utilities that other services copied from the guides work as they stand, with nothing but their constants replaced."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from faregate.wire import exact_json
from support.apps import KEY, Gateway, open_gateway, running_worker, settings_for
from support.node import Node
from support.serving import serving

SOURCES = Path(__file__).parent / "typescript"


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Node:
    cache = request.config.cache
    assert cache is not None
    return Node(SOURCES, cache.mkdir("node"))


@pytest.fixture
async def served(database_url: str, broker_url: str) -> AsyncIterator[tuple[str, Gateway]]:
    """A gateway on a port and a worker, both on RabbitMQ; ada has 10 credits, the poor one none."""
    settings = settings_for(database_url, broker_url=broker_url)
    async with open_gateway(settings) as gateway, running_worker(settings):
        await gateway.feature("ai_chat_v1", min_credits=2)
        await gateway.grant("ada", 10)
        config = uvicorn.Config(gateway.app, port=0, log_level="critical", lifespan="off", ws="none")
        async with serving(config) as url:
            yield url, gateway


def _with_constants(name: str, constants: dict[str, str]) -> str:
    """Return a block with its constants replaced, each of which stands in it once."""
    text = (SOURCES / name).read_text()
    for placeholder, value in constants.items():
        assert text.count(f"'{placeholder}'") == 1
        text = text.replace(f"'{placeholder}'", f"'{value}'")
    return text


def _program(directory: Path, url: str) -> Path:
    service = {"https://api.yoursystem.com": url, "your_secret_server_api_key": KEY}
    logger = {
        "https://zaaz-payment-engine.com/api/feature-usage-logs": f"{url}/api/feature-usage-logs",
        "your_secure_server_key": KEY,
    }
    (directory / "CreditsService.ts").write_text(_with_constants("CreditsService.ts", service))
    (directory / "FeatureLogger.ts").write_text(_with_constants("FeatureLogger.ts", logger))
    example = (SOURCES / "usage-example.ts").read_text()
    main = directory / "main.ts"
    main.write_text((SOURCES / "main.ts").read_text().replace("/* USAGE EXAMPLE */", example))
    return main


async def test_the_guides_utilities_run_against_gateway_and_broker(
    node: Node, served: tuple[str, Gateway], broker_url: str, tmp_path: Path
) -> None:
    url, gateway = served
    module = await asyncio.to_thread(node.bundle, _program(tmp_path, url))
    printed = await node.run(module, broker_url, "ada", "poor")
    said: dict[str, Any] = {line["step"]: line["data"] for line in map(exact_json.loads, printed.splitlines())}

    assert said["method A"] == "confirmed"
    assert said["authorize"]["status"] == "accessible"
    assert said["method B"]["success"] is True
    assert said["method B"]["data"]["status"] == "returnable"
    assert said["method B"]["data"]["charged"] == Decimal("0.42")
    assert said["method B again"]["data"]["charged"] == Decimal("0.42")
    assert "credits" in said["refused"].lower()
    assert "nothing" in said["unknown"]
    assert said["wrong settlement"]["status"] == 422
    assert "required" in said["wrong settlement"]["data"]["message"]
    assert said["log by queue"] is True
    assert said["log by API"]["status"] == 201
    logs = await _logs(gateway, 2)
    assert {log["endpoint"] for log in logs} == {"/by-queue", "/by-api"}
    assert {log["usage_key"] for log in logs} == {said["authorize"]["usage_key"]}
    assert await _balance(gateway, Decimal("9.16")) == Decimal("9.16")  # two uses of 0.42, by either method


async def _logs(gateway: Gateway, wanted: int) -> list[dict[str, Any]]:
    logs: list[dict[str, Any]] = []
    for _ in range(200):
        logs = (await gateway.get("/api/feature-usage-logs?user_id=ada")).data
        if len(logs) == wanted:
            break
        await asyncio.sleep(0.05)
    return logs


async def _balance(gateway: Gateway, wanted: Decimal) -> Decimal:
    """Return ada's balance when the queue has settled, or after a while."""
    balance = Decimal(-1)
    for _ in range(200):
        balance = (await gateway.get("/api/wallets/ada")).data["balance"]
        if balance == wanted:
            break
        await asyncio.sleep(0.05)
    return balance
