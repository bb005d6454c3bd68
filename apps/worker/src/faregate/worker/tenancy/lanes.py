"""Fair order of the tenants' turns.

A tenant has one turn at a time in a lane, and then waits behind the others: however much one of them has to do, each of the others
waits for one turn of each at most.
"""

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["Lane"]


class Lane:
    """Turns of one kind, of which `width` run at a time. `turn` takes a tenant's key and returns whether it wants another."""

    def __init__(self, width: int, turn: Callable[[str], Awaitable[bool]], *, grace_seconds: float) -> None:
        self._width = width
        self._turn = turn
        self._grace_seconds = grace_seconds
        self._waiting: dict[str, None] = {}
        self._running: set[str] = set()
        self._again: set[str] = set()
        self._offered = asyncio.Event()

    def offer(self, key: str) -> None:
        """Give a tenant a turn, behind those that wait; one that waits already gets no second one."""
        if key in self._running:
            self._again.add(key)
            return
        self._waiting.setdefault(key)
        self._offered.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Run turns until `stop` is set; those that have begun are finished, or cancelled when the grace is over."""
        stopping = asyncio.create_task(stop.wait())
        runners = {asyncio.create_task(self._run_turns(stopping)) for _ in range(self._width)}
        try:
            await asyncio.wait({stopping, *runners}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(runners, timeout=self._grace_seconds)
        finally:
            stopping.cancel()
            for runner in runners:
                runner.cancel()
            await asyncio.wait(runners)
        for runner in runners:
            if not runner.cancelled():
                runner.result()

    async def _run_turns(self, stopping: "asyncio.Task[bool]") -> None:
        while not stopping.done():
            key = next(iter(self._waiting), None)
            if key is not None:
                await self._run_turn(key)
                continue
            self._offered.clear()
            offered = asyncio.create_task(self._offered.wait())
            await asyncio.wait({offered, stopping}, return_when=asyncio.FIRST_COMPLETED)
            offered.cancel()

    async def _run_turn(self, key: str) -> None:
        del self._waiting[key]
        self._running.add(key)
        wants_more = False
        try:
            wants_more = await self._turn(key)
        finally:
            self._running.discard(key)
            if wants_more or key in self._again:
                self._again.discard(key)
                self.offer(key)
