"""Server processes on a benchmark's deployment, ours or a baseline."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from faregate.benchmarks.ground import Ground
from faregate.benchmarks.ports import free_port
from faregate.core.clock import Deadline
from faregate.core.errors import EngineUnavailableError

__all__ = ["serving"]

_READY_SECONDS = 90


@asynccontextmanager
async def serving(ground: Ground, module: str, *arguments: str, workers: int) -> AsyncGenerator[str]:
    """Run `python -m module … PORT --workers N`; yield its address once it listens."""
    port = free_port()
    command = [sys.executable, "-m", module, *arguments, str(port), "--workers", str(workers)]
    process = subprocess.Popen(command, env=dict(ground.environment))
    try:
        await _listening(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


async def _listening(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = Deadline(_READY_SECONDS)
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            if process.poll() is not None or deadline.passed:
                raise EngineUnavailableError("the server to measure did not come up") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
