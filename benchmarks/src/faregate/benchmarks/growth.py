"""Costs of settlements and events while the tables that grow are filled.

The fill is a ledger that verifies: months of settled uses, with their lines, events and claims, in monthly partitions. The
retention of identities works as in production: claims older than the window are forgotten. A second deployment stays at the
first size and is measured in turn, so that what else the machine does is in both figures.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
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
    """Costs with `rows` rows in the tables that grow, and in turn with them in a deployment that stays at the first size."""

    rows: int
    gigabytes: float
    partitions: int
    settlement: UnitCost
    event: UnitCost
    small_settlement: UnitCost
    small_event: UnitCost
    drifts: int

    @property
    def settlement_ratio(self) -> float:
        """Processor time of a settlement beside that at the first size."""
        return self.settlement.processor / self.small_settlement.processor

    @property
    def event_ratio(self) -> float:
        """Processor time of an event beside that at the first size."""
        return self.event.processor / self.small_event.processor


async def measure_growth(
    small: Ground,
    ground: Ground,
    sizes: Sequence[int],
    *,
    wallets: int,
    block: int,
    on_progress: Callable[[int], None],
) -> list[Grown]:
    """Fill `ground` to each of `sizes` (rows in all, ascending), `small` to the first of them only, and measure both in turn.

    Args:
        wallets: number of wallets that all uses are distributed over.
        block: number of settlements, and of events, in a measured block.
    """
    step = _HISTORY / max(1, sizes[-1] // (ROWS_OF_A_USE * wallets) + 1)
    kept, growing = (_Tables(each, wallets, step) for each in (small, ground))
    await kept.fill(sizes[0], lambda _: None)
    found: list[Grown] = []
    for size in sizes:
        await growing.fill(size, on_progress)
        settlement, small_settlement = await _in_turn([growing.settle, kept.settle], block)
        event, small_event = await _in_turn([growing.record, kept.record], block)
        costs = (settlement, event, small_settlement, small_event)
        found.append(Grown(growing.rows, *await growing.extent(), *costs, await growing.drifts()))
    return found


async def _in_turn(measures: Sequence[Callable[[int], Awaitable[UnitCost]]], block: int) -> list[UnitCost]:
    """Return the least cost of each: whatever else the machine does meanwhile hits all of them."""
    blocks = [[await measure(block) for measure in measures] for _ in range(_BLOCKS + 1)][1:]
    return [_least(costs) for costs in zip(*blocks, strict=True)]


class _Tables:
    """The tables of one deployment, filled with uses that are `step` apart."""

    def __init__(self, ground: Ground, wallets: int, step: timedelta) -> None:
        self.rows = 0
        self._ground = ground
        self._database = ground.library.database()
        self._wallets = wallets
        self._step = step
        self._began = _CLOCK.now() - _HISTORY
        self._rounds = self._blocks = 0

    async def fill(self, rows: int, on_progress: Callable[[int], None]) -> None:
        """Add uses up to `rows` rows in all; forget claims that are older than the window, and bring statistics up to date."""
        if not self.rows:
            await Partitions(self._database, "usage_event").ensure(
                months_between(Month.of(self._began), Month.of(_CLOCK.now()))
            )
            await _run(self._database, OPEN_WALLETS, wallets=self._wallets, at=self._began)
        while self.rows + ROWS_OF_A_USE * self._wallets <= rows:
            self._rounds += 1
            (added,) = await _run(self._database, SETTLE_EVERY_WALLET, at=self._began + self._step * self._rounds)
            self.rows += ROWS_OF_A_USE * int(added.uses)
            on_progress(self.rows)
        await self._ground.library.usage.container.upkeep().forget()
        await _analyze(self._database)

    async def settle(self, size: int) -> UnitCost:
        """Start a block of uses of wallets all over the tables, and settle it in batches; only settling counts."""
        people, usage = self._people(size), self._ground.usage
        starts = [StartRequest(person, FEATURE, ttl_seconds=86_400) for person in people]
        opened = [await asyncio.gather(*map(usage.authorize, some)) for some in _chunks(starts, 1_000)]
        keys = [accessible.usage_key for some in opened for accessible in some]
        requests = [SettleRequest(key, who, FEATURE, usages=(_USAGE,)) for key, who in zip(keys, people, strict=True)]

        async def settle() -> None:
            for some in _chunks(requests, _BATCH):
                outcomes = await usage.settle_batch(some)
                if not all(isinstance(outcome, Settled) for outcome in outcomes):
                    raise FaregateError(f"a settlement was refused: {outcomes[0]}")

        return await _cost(self._database, settle, size)

    async def record(self, size: int) -> UnitCost:
        """Record a block of events of the same people; none repeats an earlier one."""
        recorder, people = recorder_of(self._database), self._people(size)
        made = [event for chunk in make_events(size, now=_CLOCK.now(), days=1) for event in chunk]
        events = [
            {**event, "source": f"grown-{self._blocks}", "user_id": who, "usage_key": None}
            for event, who in zip(made, people, strict=True)
        ]

        async def record() -> None:
            for some in _chunks(events, 5 * _BATCH):
                report = await recorder.record(some)
                if report.accepted != len(some):
                    raise FaregateError(f"events were refused: {report}")

        return await _cost(self._database, record, size)

    async def extent(self) -> tuple[float, int]:
        """Return the size of the database in GB, and the number of partitions of events."""
        async with self._database.transaction(read_only=True) as session:
            (size,) = await self._database.rows(session, _SIZE)
            partitions = await Partitions(self._database, "usage_event").attached(session)
        return size.bytes / 1e9, len(partitions)

    async def drifts(self) -> int:
        """Return the number of divergences that `verify` finds in the ledger."""
        return len((await Verifier(self._database).verify()).drifts)

    def _people(self, size: int) -> list[str]:
        """Return measured users all over the tables, in another order for each block."""
        self._blocks += 1
        step, measured = 7919 + self._blocks, self._wallets // _OF_WALLETS
        return [user(n * step % measured * _OF_WALLETS) for n in range(size)]


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
