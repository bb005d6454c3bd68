"""The pages about frameworks do what they say, with the real frameworks and a gateway on PostgreSQL."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import uvicorn
from client.provider import running_provider

from support.apps import KEY, open_gateway, settings_for
from support.docs import Page
from support.servers import address, execute
from support.serving import serving

PAGES = ["charge-langchain", "charge-openai-agents", "charge-pydantic-ai", "charge-mcp-tools"]


@pytest.fixture
async def gateways(server_url: str, template: str) -> AsyncIterator[dict[str, str]]:
    """The address of a gateway for each page, whose user ada has 10 credits."""
    async with AsyncExitStack() as stack:
        served: dict[str, str] = {}
        for number, name in enumerate(PAGES):
            url = await stack.enter_async_context(_database(server_url, template, f"page_{os.getpid()}_{number}"))
            gateway = await stack.enter_async_context(open_gateway(settings_for(url)))
            await gateway.feature("chat", min_credits=1)
            await gateway.feature("tool", strategy="fixed", parameters={"credits": 3})
            await gateway.grant("ada", 10)
            config = uvicorn.Config(gateway.app, port=0, log_level="critical", lifespan="off", ws="none")
            served[name] = await stack.enter_async_context(serving(config))
        yield served


@asynccontextmanager
async def _database(server_url: str, template: str, name: str) -> AsyncGenerator[str]:
    await execute(server_url, f"create database {name} template {template} strategy file_copy")
    yield address(server_url, name)
    await execute(server_url, f"drop database {name} with (force)")


@pytest.fixture
def provider() -> Iterator[str]:
    with running_provider() as url:
        yield url


async def test_each_page_prints_what_it_says(gateways: dict[str, str], provider: str) -> None:
    """All at once: each spends most of its time with imports."""
    printed = await asyncio.gather(*(asyncio.to_thread(_printed, name, gateways[name], provider) for name in PAGES))

    assert dict(zip(PAGES, printed, strict=True)) == {name: _page(name).block("text").text for name in PAGES}


def _page(name: str) -> Page:
    return Page.of(f"docs/howto/{name}.md")


def _printed(name: str, gateway: str, provider: str) -> str:
    return (
        _page(name)
        .block("python")
        .run(
            timeout=180,  # they start while the other tests run
            FAREGATE_URL=gateway,
            FAREGATE_KEY=KEY,
            OPENAI_BASE_URL=f"{provider}/v1",
            OPENAI_API_KEY="sk-test",
            OPENAI_AGENTS_DISABLE_TRACING="1",
        )
    )
