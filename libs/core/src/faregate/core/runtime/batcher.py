"""Batching of concurrent calls (group commit).

While one batch runs, the next one is collected. Concurrent single calls become set-based batches, with no added wait at low
load. So many calls on one hot wallet share one lock and one commit.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Batcher", "bisect_failures"]

Q = TypeVar("Q")
A = TypeVar("A")


class Batcher(Generic[Q, A]):
    """Collects concurrent `submit` calls into calls of `run`.

    One batch runs at a time, so that batches are as large as possible. If a batch takes long, because a wallet in it is locked
    elsewhere, the next one starts before it ends.

    Args:
        run: processes a batch and returns one outcome per item in order; an exception among the outcomes is raised to its caller.
        batch_size: maximum number of items in one call of `run`.
        lanes: batches that may run at the same time; items of one `lane_key` never run at the same time.
        patience_seconds: how long the next batch waits for running ones.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]],
        *,
        batch_size: int = 200,
        lanes: int = 4,
        patience_seconds: float = 0.02,
    ) -> None:
        self._run = run
        self._batch_size = batch_size
        self._lanes = lanes
        self._patience_seconds = patience_seconds
        self._waiting: deque[tuple[object, Q, asyncio.Future[A]]] = deque()
        self._running: set[object] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._drains = self._slow = 0

    async def submit(self, item: Q, *, lane_key: object = None) -> A:
        """Process `item` in the next batch; after earlier ones of the same `lane_key`.

        Cancelling the caller does not cancel the work: its outcome is unknown, as after a lost connection.
        """
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((lane_key, item, answer))
        if lane_key not in self._running:  # else its own batch follows the one it waits for
            self._begin()
        return await answer

    def _begin(self) -> None:
        """Run the waiting items, unless a batch is running that is worth waiting for."""
        if self._waiting and self._drains == self._slow < self._lanes:
            self._drains += 1
            task = asyncio.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        try:
            await asyncio.sleep(0)  # let callers that are ready in this turn of the loop join the first batch
            while batch := self._next_batch():
                await self._run_batch(batch)
        finally:
            self._drains -= 1

    async def _run_batch(self, batch: Sequence[tuple[object, Q, "asyncio.Future[A]"]]) -> None:
        slow = False

        def stop_waiting() -> None:
            nonlocal slow
            slow = True
            self._slow += 1
            self._begin()

        keys = {key for key, _, _ in batch}
        self._running |= keys
        impatience = asyncio.get_running_loop().call_later(self._patience_seconds, stop_waiting)
        try:
            await self._answer([(item, answer) for _, item, answer in batch])
        finally:
            impatience.cancel()
            self._slow -= slow
            self._running -= keys

    def _next_batch(self) -> list[tuple[object, Q, "asyncio.Future[A]"]]:
        """Remove the next batch from the waiting items, in order, leaving those that must wait for a running batch."""
        batch: list[tuple[object, Q, asyncio.Future[A]]] = []
        left: list[tuple[object, Q, asyncio.Future[A]]] = []
        while self._waiting and len(batch) < self._batch_size:
            entry = self._waiting.popleft()
            (left if entry[0] in self._running else batch).append(entry)
        self._waiting.extendleft(reversed(left))
        return batch

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


async def bisect_failures(
    items: Sequence[Q],
    run: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]],
    *,
    is_passing: Callable[[Exception], bool],
) -> list[A | Exception]:
    """Process `items` by `run`, halving a batch that fails as a whole until each failing item is isolated.

    A failure for which `is_passing` is true (an engine is unavailable) concerns no single item and is raised.
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
    first = await bisect_failures(items[:middle], run, is_passing=is_passing)
    return first + await bisect_failures(items[middle:], run, is_passing=is_passing)
