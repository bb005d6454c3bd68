"""P3: pairs of start and settle per second on one wallet."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from faregate.benchmarks.ground import FEATURE, MODEL, Ground, user
from faregate.core.clock import SystemClock
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.core.runtime.batcher import Batcher
from faregate.usage.values import ModelUsage, SettleRequest, StartRequest
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE

__all__ = ["HotWallet", "measure_hot_wallet", "settle_body"]

_USAGE = ModelUsage(model=MODEL, tokens={"input_tokens": 1_000, "output_tokens": 100})
_WAIT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class HotWallet:
    """Figures of one wallet under concurrent use."""

    pairs: int
    concurrency: int
    library_seconds: float
    queue_seconds: float

    @property
    def by_library(self) -> float:
        """Pairs per second, both calls synchronous."""
        return self.pairs / self.library_seconds

    @property
    def by_queue(self) -> float:
        """Pairs per second, settled by a worker process."""
        return self.pairs / self.queue_seconds


def settle_body(usage_key: str, owner: str) -> bytes:
    """Return the settlement message of one use."""
    usages = [{"ai_model": MODEL, "input_tokens": 1_000, "output_tokens": 100}]
    return exact_json.dumps(
        {"user_id": owner, "feature_endpoint_value": FEATURE.value, "usage_key": usage_key, "usages": usages}
    )


async def measure_hot_wallet(
    ground: Ground, *, pairs: int, concurrency: int, on_progress: Callable[[int], None]
) -> HotWallet:
    """Run `pairs` pairs of start and settle on one wallet, `concurrency` at a time: first by library, then by queue."""
    clock = SystemClock()
    done = 0

    async def by_library(key: str) -> None:
        nonlocal done
        await ground.usage.authorize(StartRequest(user(0), FEATURE, usage_key=key))
        await ground.usage.settle(SettleRequest(key, user(0), FEATURE, usages=(_USAGE,)))
        done += 1
        if done % 100 == 0:
            on_progress(done)

    began = clock.monotonic()
    await _each([f"library-{number}" for number in range(pairs)], by_library, concurrency)
    library_seconds = clock.monotonic() - began

    publishing = Batcher(_publisher(ground))

    async def by_queue(key: str) -> None:
        await ground.usage.authorize(StartRequest(user(0), FEATURE, usage_key=key))
        await publishing.submit(OutgoingMessage(settle_body(key, user(0))), lane_key=key)

    worker = ground.start("worker")
    try:
        await _wait_for_worker(ground, publishing)
        began = clock.monotonic()
        await _each([f"queue-{number}" for number in range(pairs)], by_queue, concurrency)
        await _nothing_held(ground)
        queue_seconds = clock.monotonic() - began
    finally:
        worker.terminate()
        worker.wait(60)
    return HotWallet(pairs, concurrency, library_seconds, queue_seconds)


async def _wait_for_worker(ground: Ground, publishing: "Batcher[OutgoingMessage, None]") -> None:
    """Wait until the worker settles its first message."""
    await ground.usage.authorize(StartRequest(user(0), FEATURE, usage_key="warm"))
    await publishing.submit(OutgoingMessage(settle_body("warm", user(0))), lane_key="warm")
    await _nothing_held(ground)


async def _nothing_held(ground: Ground) -> None:
    async with asyncio.timeout(_WAIT_SECONDS):
        while (await ground.library.wallets().get(user(0)))[0].held:
            await asyncio.sleep(0.05)


def _publisher(ground: Ground) -> Callable[[Sequence[OutgoingMessage]], Awaitable[Sequence[None]]]:
    transport = ground.library.transport()

    async def publish(messages: Sequence[OutgoingMessage]) -> Sequence[None]:
        await transport.publish(SETTLE_MULTIMODEL_QUEUE, messages)
        return [None] * len(messages)

    return publish


async def _each(keys: Sequence[str], act: Callable[[str], Awaitable[None]], concurrency: int) -> None:
    waiting = iter(keys)

    async def work() -> None:
        for key in waiting:
            await act(key)

    await asyncio.gather(*(work() for _ in range(concurrency)))
