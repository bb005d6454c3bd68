"""Rollup job: adds each fact to the sums exactly once.

Transactions may commit in any order. New facts are found neither by time nor by row number, but by the database's record of
finished transactions: the state holds a snapshot, and the next run adds the facts that were not visible in it. A transaction
of the host that stays open for an hour delays only its own facts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.rollups.repair_sql import CLEAR, REPAIR
from faregate.analytics.rollups.sql import ADD, ADOPT, LOCK, PREPARE, STATE, WAITING
from faregate.core.db.database import Database
from faregate.core.db.partitions import Partitions
from faregate.core.logging import get_logger

__all__ = ["Rolled", "Roller"]

log = get_logger(__name__)

BATCH_FACTS = 200_000

Waiting = tuple[int, int]
"""A transaction, and how many facts it wrote."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """The result of one run: the number of added facts, whether more are waiting, and how many each transaction wrote, as far as
    it was read.
    """

    facts: int
    more: bool
    waiting: Sequence["Waiting"] = ()


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
        waiting: Sequence[Waiting] = ()
        while True:
            rolled = await self._database.run(partial(self._run, waiting=waiting))
            added, waiting = added + rolled.facts, rolled.waiting
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

    async def _run(self, session: AsyncSession, waiting: Sequence[Waiting] = ()) -> Rolled:
        await self._database.rows(session, PREPARE)
        await self._database.rows(session, LOCK)
        state = (await self._database.rows(session, STATE))[0]
        if state.from_tx > state.snapshot_max:
            await self._adopt(session, state.snapshot_max)
            return Rolled(0, more=True)
        old = RollupSnapshot(state.from_tx, tuple(state.open_txs))
        cut = self._cut(waiting, old, state.snapshot_min)
        if cut is None:
            waiting = await self._waiting(session, old)
            if not waiting:
                return Rolled(0, more=False)
            cut = self._cut(waiting, old, state.snapshot_min)
        now = RollupSnapshot(state.snapshot_max, tuple(state.in_progress))
        rolled = await self._add(session, old, now if cut is None else RollupSnapshot(cut))
        return replace(rolled, waiting=waiting)

    async def _waiting(self, session: AsyncSession, old: RollupSnapshot) -> Sequence[Waiting]:
        """Count the facts that are not in the sums; this reads all of them, so that it is not done for each batch."""
        rows = await self._database.rows(session, WAITING, from_tx=old.from_tx, open_txs=list(old.open_txs))
        return [(row.tx, row.facts) for row in rows]

    def _cut(self, waiting: Sequence[Waiting], old: RollupSnapshot, snapshot_min: int) -> int | None:
        """Return a transaction before which all are finished and enough facts are waiting; None if there is none.

        Where this is right does not depend on `waiting`, which may be older than the snapshot: it decides only on the size.
        """
        total = 0
        for tx, facts in waiting:
            if total >= self._batch_facts and old.from_tx < tx <= snapshot_min:
                return tx
            total += facts if tx >= old.from_tx or tx in old.open_txs else 0
        return None

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
