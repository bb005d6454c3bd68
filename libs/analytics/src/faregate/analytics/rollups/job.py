"""Keeping the sums up to date: each fact is added exactly once, in whatever order transactions commit.

Not a time and not a number of the row says what is new, but the database's own record of finished transactions: the
state holds a snapshot, and the next run adds what was not visible in it. A transaction of the host that stays open for
an hour delays its own facts and nobody else's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.rollups.repair_sql import CLEAR, REPAIR
from faregate.analytics.rollups.sql import ADD, ADOPT, LOCK, PREPARE, STATE, WAITING
from faregate.core.db.database import Database
from faregate.core.db.partitions import Partitions
from faregate.core.logging import get_logger

__all__ = ["Rolled", "Roller"]

log = get_logger(__name__)

BATCH_FACTS = 200_000


@dataclass(frozen=True, slots=True)
class Rolled:
    """What one run did: facts that were added, and whether more are waiting."""

    facts: int
    more: bool


@dataclass(frozen=True, slots=True)
class RollupSnapshot:
    """Which transactions count: those before `from_tx`, but not `open_txs`."""

    from_tx: int
    open_txs: tuple[int, ...] = ()


class Roller:
    """Adds facts to the sums. Safe to run anywhere, any number of times, also at once."""

    def __init__(self, database: Database, partitions: Partitions, *, batch_facts: int = BATCH_FACTS) -> None:
        self._database = database
        self._partitions = partitions
        self._batch_facts = batch_facts

    async def run(self) -> int:
        """Add all facts that are committed; return how many there were."""
        added = 0
        while True:
            rolled = await self._database.run(self._run)
            added += rolled.facts
            if not rolled.more:
                if added:
                    log.info("facts_rolled_up", facts=added)
                return added

    async def rebuild(self) -> int:
        """Make the sums anew from the facts, and return how many there were; meanwhile answers come from the facts.

        What was archived stays in the sums as it is.
        """
        await self._database.run(self._clear)
        return await self.run()

    async def _run(self, session: AsyncSession) -> Rolled:
        await self._database.rows(session, PREPARE)
        await self._database.rows(session, LOCK)
        state = (await self._database.rows(session, STATE))[0]
        if state.from_tx > state.snapshot_max:
            await self._adopt(session, state.snapshot_max)
            return Rolled(0, more=True)
        old = RollupSnapshot(state.from_tx, tuple(state.open_txs))
        waiting = await self._waiting(session, old)
        if not waiting:
            return Rolled(0, more=False)
        return await self._add(session, old, self._target(state, old, waiting))

    async def _waiting(self, session: AsyncSession, old: RollupSnapshot) -> Sequence[tuple[int, int]]:
        rows = await self._database.rows(session, WAITING, from_tx=old.from_tx, open_txs=list(old.open_txs))
        return [(row.tx, row.facts) for row in rows]

    def _target(self, state: Any, old: RollupSnapshot, waiting: Sequence[tuple[int, int]]) -> RollupSnapshot:
        """Return how far to go: to now, or, with much to do, to a transaction before which all are finished."""
        total = 0
        for tx, facts in waiting:
            if total >= self._batch_facts and old.from_tx < tx <= state.snapshot_min:
                return RollupSnapshot(tx)
            total += facts
        return RollupSnapshot(state.snapshot_max, tuple(state.in_progress))

    async def _add(self, session: AsyncSession, old: RollupSnapshot, new: RollupSnapshot) -> Rolled:
        span = {
            "from_tx": old.from_tx,
            "open_txs": list(old.open_txs),
            "next_tx": new.from_tx,
            "next_open": list(new.open_txs),
        }
        row = (await self._database.rows(session, ADD, **span))[0]
        if row.taken_back:
            for statement in REPAIR:
                await self._database.rows(session, statement, **span)
        return Rolled(row.added, more=row.added >= self._batch_facts)

    async def _clear(self, session: AsyncSession) -> None:
        await self._database.rows(session, LOCK)
        months = await self._partitions.attached(session)
        for statement in CLEAR:
            since = {"since": months[0].start} if ":since" in statement and months else {}
            await self._database.rows(session, statement, **since)

    async def _adopt(self, session: AsyncSession, snapshot_max: int) -> None:
        """Begin anew in a database that counts transactions otherwise: this one was restored from a dump."""
        log.warning("rollups_begin_anew", reason="the database was restored from a dump")
        await self._database.rows(session, ADOPT, snapshot_max=snapshot_max)
        await self._clear(session)
