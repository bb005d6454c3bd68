"""Costs of settlements and events while the tables that grow are filled.

The fill is a ledger that verifies: months of settled uses, with their lines, events and claims, in monthly partitions. The
retention of identities works as in production: claims older than the window are forgotten. Sizes are measured in one database
that grows from one to the next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from faregate.benchmarks.events import make_events
from faregate.benchmarks.ground import FEATURE, MODEL, Ground, user
from faregate.benchmarks.growth_sql import OPEN_WALLETS, ROWS_OF_A_USE, SETTLE_EVERY_WALLET
from faregate.benchmarks.metering import recorder_of
from faregate.benchmarks.processor_time import ProcessorTime
from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, Partitions, months_between
from faregate.core.errors import FaregateError
from faregate.credit.proof.verify import Verifier
from faregate.usage.values import ModelUsage, Settled, SettleRequest, StartRequest

__all__ = ["Grown", "measure_growth"]

T = TypeVar("T")
_CLOCK = SystemClock()
_HISTORY = timedelta(days=300)
_BLOCKS = 6
"""Blocks that are measured at each size, after one that is not. The cheapest counts: whatever else the machine does only adds."""
_BATCH = 250
_OF_WALLETS = 10
"""Of this many wallets one is measured; it is filled no further, since history lies in the past."""
_TABLES = ("charge", "transfer", "grant_slice", "usage_line", "usage_event", "usage_event_key")
_USAGE = ModelUsage(model=MODEL, tokens={"input_tokens": 1_000, "output_tokens": 100})

_SIZE = "select pg_database_size(current_database()) as bytes"
_ANALYZE = "vacuum (analyze) faregate.{table}"


@dataclass(frozen=True, slots=True)
class UnitCost:
    """What one of many cost: processor time of this process and PostgreSQL together, and time on the clock, in µs."""

    processor: float
    clock: float


@dataclass(frozen=True, slots=True)
class Grown:
    """Costs with `rows` rows in the tables that grow."""

    rows: int
    gigabytes: float
    partitions: int
    settlement: UnitCost
    event: UnitCost
    drifts: int


async def measure_growth(
    ground: Ground,
    sizes: Sequence[int],
    *,
    wallets: int,
    block: int,
    on_progress: Callable[[int], None],
) -> list[Grown]:
    """Fill to each of `sizes` (rows in all, ascending) and measure.

    Args:
        wallets: number of wallets that all uses are distributed over.
        block: number of settlements, and of events, in a measured block.
    """
    database = ground.library.database()
    now = _CLOCK.now()
    began = now - _HISTORY
    await Partitions(database, "usage_event").ensure(months_between(Month.of(began), Month.of(now)))
    await _run(database, OPEN_WALLETS, wallets=wallets, at=began)
    step = _HISTORY / max(1, sizes[-1] // (ROWS_OF_A_USE * wallets) + 1)
    numbers, moments = count(), (began + step * number for number in count(1))
    found: list[Grown] = []
    filled = 0
    for size in sizes:
        while filled + ROWS_OF_A_USE * wallets <= size:
            (added,) = await _run(database, SETTLE_EVERY_WALLET, at=next(moments))
            filled += ROWS_OF_A_USE * int(added.uses)
            on_progress(filled)
        await ground.library.usage.container.upkeep().forget()
        await _analyze(database)
        found.append(await _measured(ground, numbers, rows=filled, wallets=wallets, block=block))
    return found


async def _measured(ground: Ground, numbers: "count[int]", *, rows: int, wallets: int, block: int) -> Grown:
    database = ground.library.database()
    settling = [await _settle(ground, next(numbers), wallets, block) for _ in range(_BLOCKS + 1)][1:]
    recording = [await _record(database, next(numbers), wallets, block) for _ in range(_BLOCKS + 1)][1:]
    async with database.transaction(read_only=True) as session:
        (size,) = await database.rows(session, _SIZE)
        partitions = len(await Partitions(database, "usage_event").attached(session))
    verified = await Verifier(database).verify()
    return Grown(rows, size.bytes / 1e9, partitions, _least(settling), _least(recording), len(verified.drifts))


async def _settle(ground: Ground, number: int, wallets: int, size: int) -> UnitCost:
    """Start a block of uses of wallets all over the tables, and settle it in batches; only settling counts."""
    step = 7919 + number
    people = [user(n * step % (wallets // _OF_WALLETS) * _OF_WALLETS) for n in range(size)]
    starts = [StartRequest(person, FEATURE, ttl_seconds=86_400) for person in people]
    opened = [await asyncio.gather(*map(ground.usage.authorize, some)) for some in _chunks(starts, 1_000)]
    keys = [accessible.usage_key for some in opened for accessible in some]
    requests = [SettleRequest(key, who, FEATURE, usages=(_USAGE,)) for key, who in zip(keys, people, strict=True)]

    async def settle() -> None:
        for some in _chunks(requests, _BATCH):
            outcomes = await ground.usage.settle_batch(some)
            if not all(isinstance(outcome, Settled) for outcome in outcomes):
                raise FaregateError(f"a settlement was refused: {outcomes[0]}")

    return await _cost(ground.library.database(), settle, size)


async def _record(database: Database, number: int, wallets: int, size: int) -> UnitCost:
    """Record a block of events of the same people; none repeats an earlier one."""
    recorder = recorder_of(database)
    events = [
        {
            **event,
            "source": f"grown-{number}",
            "user_id": user(n * 7919 % (wallets // _OF_WALLETS) * _OF_WALLETS),
            "usage_key": None,
        }
        for chunk in make_events(size, now=_CLOCK.now(), days=1)
        for n, event in enumerate(chunk)
    ]

    async def record() -> None:
        for some in _chunks(events, 5 * _BATCH):
            report = await recorder.record(some)
            if report.accepted != len(some):
                raise FaregateError(f"events were refused: {report}")

    return await _cost(database, record, size)


async def _cost(database: Database, work: Callable[[], Awaitable[None]], number: int) -> UnitCost:
    used, began = await ProcessorTime.now(database), _CLOCK.monotonic()
    await work()
    took, after = _CLOCK.monotonic() - began, await ProcessorTime.now(database)
    return UnitCost(1e6 * (after - used).total / number, 1e6 * took / number)


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[first : first + size] for first in range(0, len(items), size))


def _least(costs: Sequence[UnitCost]) -> UnitCost:
    return UnitCost(min(cost.processor for cost in costs), min(cost.clock for cost in costs))


async def _run(database: Database, sql: str, **parameters: datetime | int) -> Sequence[Any]:
    async with database.transaction() as session:
        await database.rows(session, "select set_config('statement_timeout', '0', true)")
        return await database.rows(session, sql, **parameters)


async def _analyze(database: Database) -> None:
    connection = await database.connect()
    try:
        await connection.execute("set statement_timeout = 0")
        for table in _TABLES:
            await connection.execute(_ANALYZE.format(table=table))
    finally:
        await connection.close()
