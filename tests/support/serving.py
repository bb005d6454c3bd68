"""An ASGI application on a real socket.

For behaviour that a transport in this process cannot show.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn

__all__ = ["serving"]


@asynccontextmanager
async def serving(config: uvicorn.Config) -> AsyncGenerator[str]:
    """Serve until the block ends; yields the address."""
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running
