"""Verification of the ledger: stored values derived again from the transfers."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.credit.proof import divergences
from faregate.credit.proof.divergences import Statements
from faregate.credit.proof.ranges import Range, split

__all__ = ["Drift", "Progress", "Verification", "Verifier"]

_CONNECTIONS = 2
_DRIFTS_KEPT = 100
_LAST = 2**63 - 1

_SETTINGS = """
select set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
  set_config('work_mem', '128MB', true), set_config('jit', 'off', true),
  set_config('max_parallel_workers_per_gather', '0', true)
"""

_PLANNER = "select set_config('enable_seqscan', :seqscan, true), set_config('enable_mergejoin', :mergejoin, true)"
_BY_INDEX = {"seqscan": "off", "mergejoin": "on"}
"""A range is a small part of its table; the statistics of a ledger that has just grown may say otherwise."""
_WHOLE = {"seqscan": "on", "mergejoin": "off"}
"""For half a ledger a hash join is faster than a merge join, which sorts first."""

_SIZES = "select wallet_id, last_seq from faregate.wallet order by wallet_id"

_NEW_SIZES = """
select w.wallet_id, 1 + greatest(w.last_seq - coalesce(h.seq, 0), 0) as last_seq
from faregate.wallet w left join faregate.verified_head h using (wallet_id) order by w.wallet_id
"""

_WRITABLE = "select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off' as writable"

Progress = Callable[[int, int], None]
"""Called with the number of finished steps and the number of all steps."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One value that does not follow from the transfers, in micro-credits (or a count, a hash, a moment).

    `seq` is the transfer at which it shows, `item` the usage key, grant, order or limit to which it belongs.
    """

    wallet_id: int | None
    seq: int | None
    item: str | None
    check: str
    stored: int | str | None
    derived: int | str | None


@dataclass(frozen=True, slots=True)
class Verification:
    """What was verified, and what was found (at most 100 drifts, the first divergence first)."""

    wallets: int
    charges: int
    transfers: int
    drifts: tuple[Drift, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    sql: str
    range: Range | None = None
    by_index: bool = True


class Verifier:
    """Verifies the ledger on two connections under one snapshot; takes no locks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def verify(
        self, *, since_heads: bool = False, remember: bool = False, on_progress: Progress | None = None
    ) -> Verification:
        """Compare counters, holds, grants, slices, charges, corrections, top-ups, limits and hash chains with the transfers.

        Args:
            since_heads: trust what an earlier run has verified and stored, and check only what came after.
            remember: if no divergence is found, store the heads of all chains as verified. On a read-only database (a
                standby) nothing is stored.
        """
        async with self._database.transaction(isolation="REPEATABLE READ") as session:
            await self._configure(session)
            sizes = await self._database.rows(session, _NEW_SIZES if since_heads else _SIZES)
            ranges = split([(row.wallet_id, row.last_seq) for row in sizes])
            statements = divergences.since_heads() if since_heads else divergences.full()
            steps = _steps(statements, ranges, whole=not since_heads)
            drifts = await self._derive(session, steps, on_progress)
            (counts,) = await self._database.rows(session, divergences.COUNTS)
            if remember and not drifts:
                await self._remember(session)
        return Verification(counts.wallets, counts.charges, counts.transfers, drifts)

    async def drifts(self, session: AsyncSession, *, since_heads: bool = False) -> tuple[Drift, ...]:
        """Return the divergences of the ledger as the caller's transaction sees it, its own changes included."""
        await self._configure(session)
        statements = divergences.since_heads() if since_heads else divergences.full()
        found: list[Drift] = []
        for step in _steps(statements, split(()), whole=not since_heads):
            found.extend(await self._take(session, step))
        return _sorted(found)

    async def verify_closes(self) -> tuple[Drift, ...]:
        """Return the figures of closed months that do not follow from the transfers."""
        async with self._database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
            await self._configure(session)
            found: list[Drift] = []
            for step in [_Step(sql, part) for part in split(()) for sql in divergences.OF_CLOSES]:
                found.extend(await self._take(session, step))
            found.extend(await self._take(session, _Step(divergences.CLOSES)))
        return _sorted(found)

    async def _derive(
        self, session: AsyncSession, steps: Sequence[_Step], on_progress: Progress | None
    ) -> tuple[Drift, ...]:
        ((snapshot,),) = await self._database.rows(session, "select pg_export_snapshot()")
        waiting = deque(steps)
        found: list[Drift] = []

        async def work() -> None:
            async with self._reader(snapshot) as reader:
                while waiting:
                    found.extend(await self._take(reader, waiting.popleft()))
                    if on_progress is not None:
                        on_progress(len(steps) - len(waiting), len(steps))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(_CONNECTIONS, len(steps))):
                tasks.create_task(work())
        return _sorted(found)

    async def _take(self, session: AsyncSession, step: _Step) -> list[Drift]:
        at = step.range
        parameters: dict[str, Any] = {}
        if at is not None:
            parameters = {
                "first": at.first,
                "first_seq": at.first_seq,
                "last": at.last,
                "last_seq": at.last_seq,
            }
        await self._database.rows(session, _PLANNER, **(_BY_INDEX if step.by_index else _WHOLE))
        return [_drift(row) for row in await self._database.rows(session, step.sql, **parameters)]

    @asynccontextmanager
    async def _reader(self, snapshot: str) -> AsyncGenerator[AsyncSession]:
        async with self._database.transaction(isolation="REPEATABLE READ", read_only=True) as session:
            await self._database.rows(session, f"set transaction snapshot '{snapshot}'")
            await self._configure(session)
            yield session

    async def _configure(self, session: AsyncSession) -> None:
        await self._database.rows(session, _SETTINGS)

    async def _remember(self, session: AsyncSession) -> None:
        ((writable,),) = await self._database.rows(session, _WRITABLE)
        if writable:
            await self._database.rows(session, divergences.REMEMBER)


def _steps(statements: Statements, ranges: Sequence[Range], *, whole: bool) -> list[_Step]:
    """Return the steps; a wallet is divided only for the chain, and only if transfers are read by sequence number."""
    wallets = _by_wallets(ranges)
    chain = [_Step(statements.chain, part) for part in (ranges if whole else wallets)]
    charges = [_Step(statements.charges, part, by_index=not whole) for part in (_halves(wallets) if whole else wallets)]
    rest = [_Step(sql, part) for part in wallets for sql in statements.by_wallets]
    return [*charges, *chain, *rest, *(_Step(sql) for sql in divergences.OF_ALL)]


def _halves(wallets: Sequence[Range]) -> list[Range]:
    """Return one range for each connection."""
    middle = len(wallets) // 2
    halves = [half for half in (wallets[:middle], wallets[middle:]) if half]
    return [Range(half[0].first, 0, half[-1].last, 0) for half in halves]


def _by_wallets(ranges: Sequence[Range]) -> list[Range]:
    found: list[Range] = []
    first = ranges[0].first
    for part in ranges:
        if part.last > first:
            found.append(Range(first, 0, part.last, 0))
            first = part.last
    return found


def _drift(row: Any) -> Drift:
    return Drift(row.wallet_id, row.seq, row.item, row.check_name, _value(row.stored), _value(row.derived))


def _value(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.lstrip("-").isdigit() and len(text) < 40 else text


def _sorted(found: Iterable[Drift]) -> tuple[Drift, ...]:
    return tuple(sorted(set(found), key=_order)[:_DRIFTS_KEPT])


def _order(drift: Drift) -> tuple[int, int, str, str]:
    """Order by wallet, then by the transfer at which the drift shows; drifts without either come last."""
    wallet = drift.wallet_id if drift.wallet_id is not None else _LAST
    return wallet, drift.seq if drift.seq is not None else _LAST, drift.check, drift.item or ""
