"""Stubs: a model that counts its runs and can be paused, and a server of MCP tools."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from support.serving import serving

__all__ = ["Runs", "serving_runs", "serving_tools"]

_USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}


class Runs:
    """The runs of a model, by the content of their message."""

    def __init__(self) -> None:
        self.url = ""
        self._counts: Counter[str] = Counter()
        self._going = asyncio.Event()
        self._going.set()
        self._changed = asyncio.Condition()

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        async with self._changed:
            self._counts[body["messages"][0]["content"]] += 1
            self._changed.notify_all()
        await self._going.wait()
        return JSONResponse(_reply(body["model"]))

    @asynccontextmanager
    async def paused(self) -> AsyncGenerator[None]:
        """Let no run end until the block does."""
        self._going.clear()
        try:
            yield
        finally:
            self._going.set()

    def count(self, beginning: str) -> int:
        """How many runs have begun."""
        return sum(count for content, count in self._counts.items() if content.startswith(beginning))

    def different(self, beginning: str) -> int:
        """How many different messages were run."""
        return sum(content.startswith(beginning) for content in self._counts)

    async def reached(self, beginning: str, *, times: int = 1, different: int = 0) -> None:
        """Wait until so many runs have begun."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: self.count(beginning) >= times and self.different(beginning) >= different
            )


@asynccontextmanager
async def serving_runs() -> AsyncGenerator[Runs]:
    """Serve a model that counts its runs."""
    runs = Runs()
    app = Starlette(routes=[Route("/v1/chat/completions", runs.chat, methods=["POST"])])
    async with serving(uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none")) as url:
        runs.url = url
        yield runs


@asynccontextmanager
async def serving_tools() -> AsyncGenerator[str]:
    """Serve MCP tools by HTTP: `seven` answers, `fails` does not."""
    tools: FastMCP[Any] = FastMCP("math")
    tools.tool(_seven, name="seven")
    tools.tool(_fails, name="fails")
    config = uvicorn.Config(tools.http_app(), port=0, log_level="critical", lifespan="on", ws="none")
    async with serving(config) as url:
        yield url


def _seven() -> int:
    return 7


def _fails() -> int:
    raise ToolError("no")


def _reply(model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "done"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice],
        "usage": _USAGE,
    }
