"""A gateway behind a real port for the Cycles client, with faults between its answers and the client."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from faregate.benchmarks.ports import free_port
from faregate.gateway.container import GatewayContainer
from faregate.gateway.main import create_app, open_engines
from faregate.wire import exact_json
from support.apps import Gateway, open_gateway, settings_for
from support.gateways import listening

__all__ = ["CyclesServer", "running_cycles_server"]


@dataclass
class CyclesServer:
    """The address, a gateway of the same database for checks, and the requests that arrived.

    Attributes:
        faults: by the last word of a path, what happens to its next answers: "late" (after the client's patience) or a
            status with which the answer is replaced after the call was carried out.
    """

    url: str
    gateway: Gateway
    faults: dict[str, list[str | int]] = field(default_factory=dict[str, list[str | int]])
    seen: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def keys(self, action: str) -> list[str]:
        """The idempotency keys of the calls of an action, in the order of their arrival."""
        return [key for name, key in self.seen if name == action]


@asynccontextmanager
async def running_cycles_server(database_url: str) -> AsyncGenerator[CyclesServer]:
    """Run a gateway behind faults until the end of the block."""
    container = GatewayContainer(settings=settings_for(database_url))
    app, port = create_app(container, own_lifecycle=False), free_port()
    async with open_gateway(settings_for(database_url)) as gateway, open_engines(container):
        server = CyclesServer(f"http://127.0.0.1:{port}", gateway)
        config = uvicorn.Config(_faulty(app, server), port=port, log_config=None, lifespan="off")
        running = uvicorn.Server(config)
        task = asyncio.create_task(running.serve())
        await listening(port)
        try:
            yield server
        finally:
            running.should_exit = True
            await task


def _faulty(app: ASGIApp, server: CyclesServer) -> ASGIApp:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        action = scope["path"].rpartition("/")[2]
        headers = dict(scope["headers"])
        server.seen.append((action, headers.get(b"x-idempotency-key", b"").decode()))
        waiting = server.faults.get(action, [])
        fault = waiting.pop(0) if waiting else None
        if fault is None:
            await app(scope, receive, send)
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await app(scope, receive, keep)
        if fault == "late":
            await asyncio.sleep(0.5)
            for message in answer:
                await send(message)
            return
        body: Any = exact_json.dumps({"error": "INTERNAL_ERROR", "message": "a fault", "request_id": "r"})
        start: Message = {
            "type": "http.response.start",
            "status": fault,
            "headers": [(b"content-type", b"application/json")],
        }
        await send(start)
        await send({"type": "http.response.body", "body": body if int(str(fault)) >= 400 else b"{}"})

    return serve
