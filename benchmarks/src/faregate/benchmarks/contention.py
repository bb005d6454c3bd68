"""R2: contention of many connections on few wallets.

The number of granted uses is exactly the bound, no wallet is ever below zero, and there is no deadlock.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.errors import FaregateError
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.core.monitoring.heartbeats import Heartbeats
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.ledger.holds import HoldRequest
from faregate.credit.ledger.settlement import PostingRequest
from faregate.credit.ledger.states import ChargeState, TransferNote
from faregate.credit.proof.verify import Verifier
from faregate.credit.services.corrections import CorrectionService
from faregate.credit.services.credits import CreditService
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.services.repricing import RepricingService
from faregate.credit.storage.repository import LedgerRepository
from faregate.wire.credits import to_micros

__all__ = ["Round", "contend"]

T = TypeVar("T")
PRICE = to_micros(7)
_REMAINDER = to_micros(3)
_BATCH = 64
_FEW = 8
_SAMPLE_SECONDS = 0.01
_SAMPLES_AT_ONCE = 20
_EXPIRE_SECONDS = 1
_ACTIONS = ("start", "settle", "void", "expire", "refund", "repeat")
_WEIGHTS = (46, 26, 7, 6, 5, 10)

_FREE = "select min(credits + credit_limit - debits - held - earmarked) as free from faregate.wallet"
# It samples on the server, since 64 connections keep this process too busy to sample every 10 ms; each statement in it
# sees what is committed at that time.
_SAMPLER = f"""
create function pg_temp.sample(rounds integer) returns bigint language plpgsql as $$
declare
  found bigint;
  lowest bigint;
begin
  for round in 1..rounds loop
    {_FREE} into found;
    lowest := least(lowest, found);
    perform pg_sleep({_SAMPLE_SECONDS});
  end loop;
  return lowest;
end $$
"""
_DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"
_OUTCOMES = """
select wallet_id, count(*) filter (where status = 2) as voided, count(*) filter (where status = 3) as expired,
  count(*) filter (where status = 1) as settled, count(*) as started
from faregate.charge group by wallet_id
"""
_REFUNDED = "select wallet_id, count(*) as refunded from faregate.transfer where kind = 7 group by wallet_id"


@dataclass(frozen=True, slots=True)
class Round:
    """Results for one number of wallets."""

    wallets: int
    connections: int
    attempts: int
    counts: dict[str, int]
    bound: int
    granted: int
    exact: bool
    lowest_free_micros: int
    samples: int
    deadlocks: int
    drifts: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether all bounds are kept."""
        return self.exact and self.lowest_free_micros >= 0 and not self.deadlocks and not self.drifts


@dataclass(slots=True)
class _Arena:
    """The wallets under contention, and counts of the outcomes."""

    database: Database
    credit: CreditService
    corrections: CorrectionService
    wallet_ids: Sequence[int]
    attempts: int
    on_progress: Callable[[int], None]
    counts: Counter[str] = field(default_factory=Counter[str])
    numbers: "count[int]" = field(default_factory=count)
    done: int = 0

    def tell(self, outcome: str, number: int = 1) -> None:
        self.counts[outcome] += number
        self.done += number
        self.on_progress(self.done)


async def contend(
    database: Database,
    *,
    wallets: int,
    attempts: int,
    connections: int,
    seed: int,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Round:
    """Make `attempts` mixed attempts on an empty, migrated database, then start uses until every wallet refuses.

    Each wallet can pay for a known number of uses of one price, and has a remainder that is too small for another one. At
    the end exactly that many are granted (started, and not voided, expired or refunded).
    """
    clock = SystemClock()
    bound = max(2, attempts // 8 // wallets)
    arena = await _prepare(database, wallets, bound, attempts, on_progress)
    before = await _number(database, _DEADLOCKS)
    samples: list[int] = []
    began = clock.monotonic()
    sampling = asyncio.create_task(_sample(database, samples))
    async with asyncio.TaskGroup() as tasks:
        for number in range(connections):
            tasks.create_task(_Contender(arena, random.Random(seed * 1000 + number)).run())  # noqa: S311
    await asyncio.sleep(_EXPIRE_SECONDS + 0.1)
    await _drain(arena)
    seconds = clock.monotonic() - began
    sampling.cancel()
    granted = await _granted(arena)
    found = await Verifier(database).verify()
    return Round(
        wallets=wallets,
        connections=connections,
        attempts=arena.done,
        counts=dict(sorted(arena.counts.items())),
        bound=bound * wallets,
        granted=sum(granted.values()),
        exact=granted == dict.fromkeys(arena.wallet_ids, bound),
        lowest_free_micros=min(samples),
        samples=len(samples) * _SAMPLES_AT_ONCE,
        deadlocks=await _number(database, _DEADLOCKS) - before,
        drifts=len(found.drifts),
        seconds=seconds,
    )


class _Contender:
    """One connection that starts, settles, voids, refunds and repeats uses, and lets holds expire."""

    def __init__(self, arena: _Arena, chance: random.Random) -> None:
        self._arena = arena
        self._chance = chance
        self._open: dict[int, list[str]] = defaultdict(list)
        self._settled: dict[int, list[ChargeState]] = defaultdict(list)
        self._last: list[HoldRequest] = []

    async def run(self) -> None:
        """Run until all connections together have made all attempts, then settle the open uses."""
        actions = {
            "start": self._start,
            "settle": self._settle,
            "void": self._void,
            "expire": self._expire,
            "refund": self._refund,
            "repeat": self._repeat,
        }
        while self._arena.done < self._arena.attempts:
            (action,) = self._chance.choices(_ACTIONS, _WEIGHTS)
            await actions[action]()
        while any(self._open.values()):
            await self._settle()

    async def _start(self) -> None:
        self._last = [_request(self._arena, self._chance, 3600) for _ in range(_BATCH)]
        await self._authorize(self._last, "started")

    async def _expire(self) -> None:
        requests = [_request(self._arena, self._chance, _EXPIRE_SECONDS) for _ in range(_FEW)]
        await self._authorize(requests, "left to expire", keep=False)

    async def _repeat(self) -> None:
        """Repeat the last starts, which must open no new hold."""
        if self._last:
            await self._authorize(self._last, "started again", keep=False)
            self._last = []

    async def _authorize(self, requests: Sequence[HoldRequest], name: str, *, keep: bool = True) -> None:
        credit = self._arena.credit
        known = {key for keys in self._open.values() for key in keys}
        if name == "started again":
            requests = [request for request in requests if request.usage_key in known]
        if not requests:
            return
        outcomes = await self._arena.database.run(lambda session: credit.authorize(session, requests))
        for request, outcome in zip(requests, outcomes, strict=True):
            refused = isinstance(outcome, FaregateError)
            self._arena.tell(f"refused: {outcome.code}" if isinstance(outcome, FaregateError) else name)
            if keep and not refused:
                self._open[request.wallet_id].append(request.usage_key)

    async def _settle(self) -> None:
        keys = [key for found in self._open.values() for key in found][:_BATCH]
        if not keys:
            return
        places = {key: wallet_id for wallet_id, found in self._open.items() for key in found}
        requests = [
            PostingRequest(key, PRICE, PRICE, b"contention", started_wallet_id=places[key])
            for key in keys  # a repeated settlement counts once
            for _ in range(1 + (self._chance.random() < 0.1))
        ]
        outcomes = await self._arena.database.run(lambda session: self._arena.credit.post(session, requests))
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, FaregateError):
                raise outcome
            self._arena.tell("settled again" if outcome.replayed else "settled")
            if not outcome.replayed:
                self._settled[request.wallet_id].append(outcome.charge)
        self._drop(keys)

    async def _void(self) -> None:
        _, keys = self._some(self._open)

        async def work(session: AsyncSession) -> None:
            for key in keys:
                await self._arena.credit.void(session, key)

        await self._arena.database.run(work)
        self._arena.tell("voided", len(keys))
        self._drop(keys)

    async def _refund(self) -> None:
        wallet_id, charges = self._some(self._settled)
        note = TransferNote(actor="bench", reason="contention")

        async def work(session: AsyncSession) -> None:
            for charge in charges:
                at = f"{wallet_id}-{charge.first_seq}"
                await self._arena.corrections.refund(session, at, amount=None, note=note)

        await self._arena.database.run(work)
        self._arena.tell("refunded", len(charges))
        self._settled[wallet_id] = [charge for charge in self._settled[wallet_id] if charge not in charges]

    def _some(self, of: dict[int, list[T]]) -> tuple[int, list[T]]:
        wallet_ids = [wallet_id for wallet_id, found in of.items() if found]
        if not wallet_ids:
            return self._arena.wallet_ids[0], []
        wallet_id = self._chance.choice(wallet_ids)
        return wallet_id, of[wallet_id][:_FEW]

    def _drop(self, keys: Sequence[str]) -> None:
        gone = set(keys)
        for wallet_id, found in self._open.items():
            self._open[wallet_id] = [key for key in found if key not in gone]


async def _prepare(
    database: Database, wallets: int, bound: int, attempts: int, on_progress: Callable[[int], None]
) -> _Arena:
    repository, subjects = LedgerRepository(database), Subjects(database)
    ledger_session = LedgerSession(database, repository, Heartbeats(database), PostgresTransport(database))
    repricing = RepricingService(repository, ledger_session, subjects)
    credit = CreditService(repository, ledger_session, subjects, repricing)
    ids = [await _wallet(database, credit, f"contender-{number}", bound) for number in range(wallets)]
    corrections = CorrectionService(repository, ledger_session, subjects)
    return _Arena(database, credit, corrections, ids, attempts, on_progress)


async def _wallet(database: Database, credit: CreditService, owner: str, bound: int) -> int:
    spec = GrantSpec(bound * PRICE + _REMAINDER, GrantSource.PURCHASE)
    await database.run(lambda session: credit.grant(session, owner, spec))
    return (await database.run(lambda session: credit.ensure_wallets(session, [owner])))[owner].subject_id


def _request(arena: _Arena, chance: random.Random, ttl_seconds: int, wallet_id: int | None = None) -> HoldRequest:
    wallet_id = wallet_id or chance.choice(arena.wallet_ids)
    key = f"use-{next(arena.numbers)}"
    return HoldRequest(key, wallet_id, wallet_id, None, "f", "individual", PRICE, ttl_seconds, b"contention")


async def _drain(arena: _Arena) -> None:
    """Start uses in every wallet until it refuses."""
    chance = random.Random(0)  # noqa: S311
    left = list(arena.wallet_ids)
    while left:
        requests = [_request(arena, chance, 3600, wallet_id) for wallet_id in left[:_BATCH] for _ in range(_BATCH)]
        outcomes = await arena.database.run(partial(arena.credit.authorize, requests=requests))
        refused = {r.wallet_id for r, o in zip(requests, outcomes, strict=True) if isinstance(o, FaregateError)}
        arena.tell("started at the end", sum(not isinstance(outcome, FaregateError) for outcome in outcomes))
        left = [wallet_id for wallet_id in left if wallet_id not in refused]


async def _granted(arena: _Arena) -> dict[int, int]:
    async with arena.database.transaction() as session:
        charges = await arena.database.rows(session, _OUTCOMES)
        refunded = {row.wallet_id: row.refunded for row in await arena.database.rows(session, _REFUNDED)}
    return {row.wallet_id: row.started - row.voided - row.expired - refunded.get(row.wallet_id, 0) for row in charges}


async def _sample(database: Database, samples: list[int]) -> None:
    connection = await database.connect()
    try:
        await connection.execute(database.sql.text(_SAMPLER))
        while True:
            samples.append(int(await connection.fetchval(f"select pg_temp.sample({_SAMPLES_AT_ONCE})")))
    finally:
        await connection.close()


async def _number(database: Database, sql: str) -> int:
    async with database.transaction() as session:
        ((value,),) = await database.rows(session, sql)
    return int(value)
