"""Rollup job: adds each fact to the sums exactly once.

Transactions may commit in any order. New facts are found neither by time nor by row number, but by the database's record of
finished transactions: the state holds a snapshot, and the next run adds the facts that were not visible in it. A transaction
of the host that stays open for an hour delays only its own facts.
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
    """The result of one run: the number of added facts, and whether more are waiting."""

    facts: int
    more: bool


@dataclass(frozen=True, slots=True)
class RollupSnapshot:
    """The visible transactions: those before `from_tx`, except `open_txs`."""

    from_tx: int
    open_txs: tuple[int, ...] = ()


class Roller:
    """Adds facts to the sums. Safe to run in any process, any number of times, also concurrently."""

    def __init__(self, database: Database, partitions: Partitions, *, batch_facts: int = BATCH_FACTS) -> None:
        self._database = database
        self._partitions = partitions
        self._batch_facts = batch_facts

    async def run(self) -> int:
        """Add all committed facts; return their number."""
        added = 0
        while True:
            rolled = await self._database.run(self._run)
            added += rolled.facts
            if not rolled.more:
                if added:
                    log.info("facts_rolled_up", facts=added)
                return added

    async def rebuild(self) -> int:
        """Rebuild the sums from the facts and return the number of facts; in the meantime answers come from the facts.

        The sums of archived facts stay unchanged.
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
        """Return the snapshot to roll up to: now or, with many new facts, a transaction before which all are finished."""
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
        """Reset the state in a database that was restored from a dump, whose transaction numbers differ."""
        log.warning("rollups_begin_anew", reason="the database was restored from a dump")
        await self._database.rows(session, ADOPT, snapshot_max=snapshot_max)
        await self._clear(session)
