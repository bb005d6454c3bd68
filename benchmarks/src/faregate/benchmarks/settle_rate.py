"""P1: settlement rate of worker processes, compared with pgbench.

Workers settle a pre-filled queue; pgbench makes the same writes with one transaction per message.
"""

import asyncio
import gc
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from faregate.benchmarks.ground import FEATURE, Ground, user
from faregate.benchmarks.hot_wallet import settle_body
from faregate.benchmarks.metering import vacuum
from faregate.benchmarks.one_by_one import settle_one_by_one
from faregate.benchmarks.processor_time import ProcessorTime, process_seconds
from faregate.benchmarks.worker_load import WorkerLoad, check_empty, working
from faregate.core.clock import SystemClock
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.usage.values import StartRequest
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE

__all__ = ["Settlements", "measure_settlements"]

_CLIENTS = (4, 8, 16, 32)
_HALF_LOAD_SECONDS = 6
_WARM_SECONDS = 1
_FIRST_SECONDS = 2
_LOOK_SECONDS = 0.1
_START_CHUNK = 1_000
_WAIT_SECONDS = 600
_PUBLISH_CHUNK = 500

_NOT_RUN = (
    "select count(*) filter (where last_finished_at is null) as jobs, count(*) as known from faregate.scheduled_job"
)
_COMMITTED = """
select usage_key, pg_xact_commit_timestamp(xmin) as committed_at from faregate.charge
where usage_key = any(cast(:keys as text[]))
"""


@dataclass(frozen=True, slots=True)
class Settlements:
    """Messages per second: ours from the queue to committed and acknowledged, and pgbench's with the same writes, one message
    per transaction.

    Attributes:
        half_load_p99_ms: from publish to commit at half that rate, after the first second.
        first_seconds_p99_ms: the same in the first two seconds, of workers that have settled nothing before.
        worker_micros, database_micros: processor time of a settlement, in µs.
    """

    messages: int
    wallets: int
    workers: int
    ours: float
    one_by_one: float
    clients: int
    half_load_p99_ms: float
    first_seconds_p99_ms: float
    worker_micros: float
    database_micros: float

    @property
    def ratio(self) -> float:
        """Our rate divided by pgbench's."""
        return self.ours / self.one_by_one


async def measure_settlements(
    ground: Ground,
    *,
    wallets: int,
    messages: int,
    workers: int,
    on_progress: Callable[[str, int], None],
    clients: Sequence[int] = _CLIENTS,
    seconds: int = _HALF_LOAD_SECONDS,
) -> Settlements:
    """Settle `messages` from a pre-filled queue, make the same writes with pgbench, then publish at half the rate.

    Args:
        clients: numbers of pgbench clients to try, with an equal share of the messages each; the best rate counts.
        seconds: length of the measured part at half load.
    """
    await _first_jobs(ground)
    await _start(ground, "use", wallets, messages, lambda done: on_progress("starting uses", done))
    await _start(ground, "one", wallets, messages, lambda done: on_progress("starting uses for pgbench", done))
    await _publish(ground, wallets, messages)
    ours, *micros = await _settle(ground, messages, workers, lambda done: on_progress("settling", done))
    one_by_one, best = await settle_one_by_one(ground, messages, clients)
    p99 = await _half_load(ground, wallets, ours / 2, workers, seconds)
    return Settlements(messages, wallets, workers, ours, one_by_one, best, *p99, *micros)


async def _first_jobs(ground: Ground) -> None:
    """Run every job once, such as those of the night, which a new deployment runs at once."""
    database = ground.library.database()
    async with working(ground, 1, queue=SETTLE_MULTIMODEL_QUEUE), asyncio.timeout(_WAIT_SECONDS):
        while True:
            async with database.transaction(read_only=True) as session:
                (row,) = await database.rows(session, _NOT_RUN)
            if row.known and not row.jobs:
                return
            await asyncio.sleep(_LOOK_SECONDS)


async def _start(ground: Ground, prefix: str, wallets: int, messages: int, on_progress: Callable[[int], None]) -> None:
    for first in range(0, messages, _START_CHUNK):
        last = min(first + _START_CHUNK, messages)
        requests = [
            StartRequest(user(n % wallets), FEATURE, usage_key=f"{prefix}-{n + 1}", ttl_seconds=86_400)
            for n in range(first, last)
        ]
        await asyncio.gather(*(ground.usage.authorize(request) for request in requests))
        on_progress(last)


async def _publish(ground: Ground, wallets: int, messages: int) -> None:
    transport = ground.library.transport()
    for first in range(0, messages, _PUBLISH_CHUNK):
        numbers = range(first, min(first + _PUBLISH_CHUNK, messages))
        bodies = [settle_body(f"use-{n + 1}", user(n % wallets)) for n in numbers]
        await transport.publish(SETTLE_MULTIMODEL_QUEUE, [OutgoingMessage(body) for body in bodies])


async def _settle(
    ground: Ground, messages: int, workers: int, on_progress: Callable[[int], None]
) -> tuple[float, float, float]:
    """Return messages per second, and the processor time of each in workers and database, in µs.

    All from the first acknowledged message to the last, so that the start of processes is excluded.
    """
    clock, transport = SystemClock(), ground.library.transport()
    async with working(ground, workers, queue=SETTLE_MULTIMODEL_QUEUE) as load, asyncio.timeout(_WAIT_SECONDS):
        while not (at_first := await load.acknowledged()):
            await asyncio.sleep(_LOOK_SECONDS)
        began, used = clock.monotonic(), await _processor_times(ground, load)
        while waiting := (await transport.backlog(SETTLE_MULTIMODEL_QUEUE)).depth:  # cheaper than the workers' metrics
            on_progress(messages - waiting)
            await asyncio.sleep(_LOOK_SECONDS)
        while await load.acknowledged() < messages:
            await asyncio.sleep(_LOOK_SECONDS)
        took = clock.monotonic() - began
        workers_used, database_used = (
            1e6 * (after - before) / (messages - at_first)
            for before, after in zip(used, await _processor_times(ground, load), strict=True)
        )
    await check_empty(ground, SETTLE_MULTIMODEL_QUEUE)
    return (messages - at_first) / took, workers_used, database_used


async def _processor_times(ground: Ground, load: WorkerLoad) -> tuple[float, float]:
    server = (await ProcessorTime.now(ground.library.database())).server
    return sum(map(process_seconds, load.pids)), server


async def _settled(ground: Ground, prefix: str) -> int:
    async with ground.library.database().transaction(read_only=True) as session:
        sql = "select count(*) as n from faregate.usage_line where usage_key like cast(:like as text)"
        (row,) = await ground.library.database().rows(session, sql, like=f"{prefix}-%")
    return int(row.n)


async def _half_load(ground: Ground, wallets: int, rate: float, workers: int, seconds: int) -> tuple[float, float]:
    """Publish at `rate` for some seconds; return the p99 from publish to commit in milliseconds, by the commit timestamps.

    Before it the tables are vacuumed: their first vacuum is due after what the benchmark has written at once until then.

    Returns:
        That of all but the first second, and that of the first two seconds, in which new workers meet everything first.
    """
    burst, count = max(1, int(rate / 50)), int(rate * (seconds + _WARM_SECONDS))
    await _start(ground, "half", wallets, count, lambda _: None)
    await vacuum(ground.library.database())
    transport = ground.library.transport()
    clock, sent = SystemClock(), dict[str, float]()
    async with working(ground, workers, queue=SETTLE_MULTIMODEL_QUEUE):
        await asyncio.sleep(5)
        began, offset = clock.monotonic(), clock.now().timestamp() - clock.monotonic()
        with _without_collection():
            for first in range(0, count, burst):
                await asyncio.sleep(max(0.0, began + first / rate - clock.monotonic()))
                numbers = range(first, min(first + burst, count))
                for n in numbers:
                    sent[f"half-{n + 1}"] = clock.monotonic() + offset
                messages = [OutgoingMessage(settle_body(f"half-{n + 1}", user(n % wallets))) for n in numbers]
                await transport.publish(SETTLE_MULTIMODEL_QUEUE, messages)
        async with asyncio.timeout(_WAIT_SECONDS):
            while await _settled(ground, "half") < count:
                await asyncio.sleep(0.2)
    keys = list(sent)
    later, early = keys[int(rate * _WARM_SECONDS) :], keys[: int(rate * _FIRST_SECONDS)]
    return await _p99(ground, {key: sent[key] for key in later}), await _p99(ground, {key: sent[key] for key in early})


@contextmanager
def _without_collection() -> Generator[None]:
    """Collect no garbage in this process, which holds the data of the whole benchmark: a pause would count as a message's wait."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def _p99(ground: Ground, sent: dict[str, float]) -> float:
    database = ground.library.database()
    async with database.transaction(read_only=True) as session:
        rows = await database.rows(session, _COMMITTED, keys=list(sent))
    waits = sorted(row.committed_at.timestamp() - sent[row.usage_key] for row in rows)
    return 1000 * float(waits[int(len(waits) * 0.99)])
