"""A Redis server for one test, on a free port, that can be stopped and restarted."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from faregate.benchmarks.ports import free_port
from support.gateways import listening
from support.servers import require_program

__all__ = ["RedisServer", "redis_server"]


class RedisServer:
    """Keeps no data between `stop` and `start`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._ran = False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    async def start(self) -> None:
        """Start it on its port; the first time on another one if the port has been taken meanwhile."""
        while not await self._listens():
            if self._ran:
                raise AssertionError(f"Redis ended at once; is port {self._port} taken?")
            self._port = free_port()
        self._ran = True

    async def _listens(self) -> bool:
        self._process = await asyncio.create_subprocess_exec(
            "redis-server", "--port", str(self._port), "--save", "", "--dir", str(self._directory),
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        ended = asyncio.create_task(self._process.wait())
        listens = asyncio.create_task(listening(self._port))
        await asyncio.wait({ended, listens}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            listens.cancel()
            return False
        ended.cancel()
        await listens
        return True

    async def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        await self._process.wait()
        self._process = None


@asynccontextmanager
async def redis_server(directory: Path) -> AsyncGenerator[RedisServer]:
    """Run a Redis within the block."""
    require_program("redis-server", package="redis-server")
    server = RedisServer(directory)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
