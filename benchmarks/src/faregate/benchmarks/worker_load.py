"""Worker processes of a benchmark, and the messages that they acknowledged."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.request import urlopen

from faregate.benchmarks.ground import Ground
from faregate.benchmarks.ports import free_port
from faregate.core.errors import FaregateError

__all__ = ["WorkerLoad", "check_empty", "working"]

_ACKNOWLEDGED = r'^faregate_messages_total{{decision="acknowledged",queue="{queue}"}} (\S+)$'


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """Running worker processes: their ids, and how many messages of one queue they have acknowledged so far."""

    pids: Sequence[int]
    acknowledged: Callable[[], Awaitable[int]]


@asynccontextmanager
async def working(ground: Ground, workers: int, *, queue: str) -> AsyncGenerator[WorkerLoad]:
    """Run worker processes on `queue`."""
    ports = [free_port() for _ in range(workers)]
    processes = [ground.start("worker", FAREGATE_WORKER_PORT=str(port)) for port in ports]

    async def acknowledged() -> int:
        return sum(await asyncio.gather(*(asyncio.to_thread(_acknowledged_by, port, queue) for port in ports)))

    try:
        yield WorkerLoad([process.pid for process in processes], acknowledged)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await asyncio.to_thread(process.wait, 60)


async def check_empty(ground: Ground, queue: str) -> None:
    """Check that the queue holds no message after the workers, which return theirs, have ended: neither ready nor unacknowledged.

    Raises:
        FaregateError: messages were left.
    """
    left = (await ground.library.transport().backlog(queue)).depth
    if left:
        raise FaregateError(f"{left:,} messages were handled and not acknowledged")


def _acknowledged_by(port: int, queue: str) -> int:
    """Return the messages of `queue` that the worker at `port` has acknowledged; 0 while it is starting."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            found = re.search(_ACKNOWLEDGED.format(queue=queue), answer.read().decode(), re.MULTILINE)
    except OSError:
        return 0
    return int(float(found[1])) if found else 0
