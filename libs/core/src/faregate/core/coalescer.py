"""Group commit for callers: while one batch runs, the next one gathers.

Concurrent single calls become set-based batches by themselves, with no added wait when there is no crowd. This is what
lets many calls on one hot wallet share one lock and one commit.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Coalescer", "run_apart"]

Q = TypeVar("Q")
A = TypeVar("A")


class Coalescer(Generic[Q, A]):
    """Collects concurrent `submit` calls into calls of `run`.

    Args:
        run: answers a batch, one outcome per item in order; an exception among the outcomes is raised to its caller.
        batch_size: most items in one call of `run`.
        lanes: batches that may run at the same time; items of one `lane_key` never do.
    """

    def __init__(
        self, run: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]], *, batch_size: int = 200, lanes: int = 2
    ) -> None:
        self._run = run
        self._batch_size = batch_size
        self._lanes: list[deque[tuple[Q, asyncio.Future[A]]]] = [deque() for _ in range(lanes)]
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def submit(self, item: Q, *, lane_key: object = None) -> A:
        """Have `item` answered in the next batch of its lane.

        A caller that is cancelled leaves the work to be done: whether it was done is unknown to it, as after any
        lost connection.
        """
        lane = hash(lane_key) % len(self._lanes)
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._lanes[lane].append((item, answer))
        if lane not in self._tasks:
            self._tasks[lane] = asyncio.create_task(self._drain(lane))
        return await answer

    async def _drain(self, lane: int) -> None:
        waiting = self._lanes[lane]
        try:
            await asyncio.sleep(0)  # let callers that are ready in this very turn of the loop join the first batch
            while waiting:
                batch = [waiting.popleft() for _ in range(min(self._batch_size, len(waiting)))]
                await self._answer(batch)
        finally:
            del self._tasks[lane]

    async def _answer(self, batch: Sequence[tuple[Q, "asyncio.Future[A]"]]) -> None:
        try:
            outcomes = await self._run([item for item, _ in batch])
        except BaseException as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
            if not isinstance(error, Exception):
                raise
            return
        for (_, answer), outcome in zip(batch, outcomes, strict=True):
            if answer.done():
                continue
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)


async def run_apart(
    items: Sequence[Q],
    run: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]],
    *,
    is_passing: Callable[[Exception], bool],
) -> list[A | Exception]:
    """Answer `items` by `run`, halving a batch that fails as a whole until the items that make it fail stand alone.

    A failure that is `is_passing` (an engine is away) concerns no single item and is raised.
    """
    if not items:
        return []
    try:
        return list(await run(items))
    except Exception as error:
        if is_passing(error):
            raise
        if len(items) == 1:
            return [error]
    middle = len(items) // 2
    first = await run_apart(items[:middle], run, is_passing=is_passing)
    return first + await run_apart(items[middle:], run, is_passing=is_passing)
