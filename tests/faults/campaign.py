"""Campaigns: set-up, fault phase, heal phase with a deadline, verdict."""

import asyncio
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from aiormq.exceptions import AMQPError

from faregate.benchmarks.ports import free_port
from faregate.core.container import engines as opened
from faregate.core.db.migrate import upgrade
from faregate.core.runtime.failpoints import POINTS
from faregate.core.settings import isolated_settings
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.proof.verify import Verifier
from faregate.usage.values import Feature
from faregate.worker.container import WorkerContainer
from faults.disasters import Disasters
from faults.engines import Engines
from faults.judge import Judge, read_books
from faults.plans import Outcome, Plan, Target
from faults.processes import ChildProcess, ProcessPool
from faults.strikes import CONTROL_STRIKES, GATEWAY_STRIKES, PUBLISHER_STRIKES, WORKER_STRIKES, Strike
from faults.traffic import FEATURE, Traffic
from support.servers import execute

__all__ = ["Campaign"]

_CHUNKS_AT_ONCE = 4
_BACKLOG_CHUNKS = 4
_PATIENCE_SECONDS = {"worker": 20.0, "publisher": 90.0, "gateway": 30.0}
_CALM_SECONDS = 30.0
_CALM_BATCH_SIZE = 250
_PASSAGES_MOST = {"worker": 3, "publisher": 6, "gateway": 12}
_SWEEP_NOW = "update faregate.scheduled_job set leased_until = null, next_at = now() where name = 'sweep_wallets'"


class Campaign:
    """Runs one plan on started engines."""

    def __init__(self, plan: Plan, engines: Engines, *, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._engines = engines
        self._say = say
        self._random = random.Random(plan.seed)
        self._traffic = Traffic(plan.seed, chunk_size=plan.chunk_size)
        self._pool = ProcessPool(engines.directory / f"{plan.name}.log")
        self._disasters = Disasters(plan.seed, engines, self._pool)
        self._unstored: deque[int] = deque()
        self._made: set[int] = set()
        self._stored: set[int] = set()
        self._port = 0
        self._struck_crashes = 0

    async def run(self) -> Outcome:
        await self._set_up()
        began = time.monotonic()
        try:
            await self._fault_phase()
            healing = time.monotonic()
            problems = await self._heal_phase()
        finally:
            await self._pool.close()
        healed = time.monotonic()
        outcome = await self._verdict(problems)
        outcome.seconds = {"faults": healing - began, "healing": healed - healing}
        return outcome

    async def _set_up(self) -> None:
        await self._engines.new_database(self._plan.name)
        container = WorkerContainer(settings=isolated_settings(**self._engines.settings()))
        core = container.core.container
        async with opened(core.database(), core.transport()):
            await upgrade(core.database())
            usage = container.usage.container
            await usage.catalog().save(Feature(FEATURE, "token_priced", min_credits=Decimal(0)))
            granted, wallets = self._traffic.expected.granted, usage.wallets()
            await asyncio.gather(
                *(wallets.grant(user, GrantSpec(micros, GrantSource.PURCHASE)) for user, micros in granted.items())
            )
        self._port = free_port()
        await self._pool.open()

    @property
    def _progress(self) -> float:
        return self._struck_crashes / max(1, self._plan.crashes)

    @property
    def _enough(self) -> bool:
        reached = not any(target.missed for target in self._targets().values())
        if self._plan.control is not None:  # an interrupted publisher would publish lost messages again
            return reached and self._made == self._stored
        return reached

    def _targets(self) -> dict[str, Target]:
        plan, disasters = self._plan, self._disasters
        return {
            "messages": Target(plan.messages, self._traffic.counts["messages"]),
            "processes killed at failpoints": Target(plan.crashes, self._struck_crashes),
            "strikes at the point struck least": Target(plan.each, self._least),
            "crashes of PostgreSQL": Target(plan.postgres_crashes, disasters.counts["PostgreSQL crashed"]),
            "kills of RabbitMQ": Target(plan.broker_kills, disasters.counts["RabbitMQ killed"]),
            "mishaps of network, peers and locks": Target(plan.mishaps, disasters.mishaps),
        }

    @property
    def _least(self) -> int:
        """Return the lowest count of strikes at a failpoint, or of a kind of strike at workers."""
        struck, points = self._pool.strikes, Counter[str]()
        for name, count in struck.items():
            points[name.partition(": ")[2].partition(",")[0]] += count
        return min(*(struck[f"worker: {strike.name}"] for strike in WORKER_STRIKES), *(points[p] for p in POINTS))

    async def _fault_phase(self) -> None:
        strikes = _cycle(WORKER_STRIKES if self._plan.control is None else CONTROL_STRIKES, self._random)
        tasks = [asyncio.create_task(self._keep("worker", strikes)) for _ in range(self._plan.workers)]
        tasks += [asyncio.create_task(self._keep("worker", lambda: None)) for _ in range(self._plan.calm_workers)]
        fates = _cycle(GATEWAY_STRIKES, self._random) if self._plan.control is None else lambda: None
        tasks.append(asyncio.create_task(self._keep("gateway", fates)))
        tasks.append(asyncio.create_task(self._feed(_cycle(PUBLISHER_STRIKES, self._random))))
        plan = self._plan
        tasks.append(asyncio.create_task(self._disasters.strike(plan, lambda: self._progress)))
        tasks.append(asyncio.create_task(self._sweep()))
        ends_at = time.monotonic() + plan.fault_seconds
        told_at = 0.0
        while not self._enough and time.monotonic() < ends_at:
            for task in tasks:
                if task.done() and task.exception() is not None:
                    raise task.exception() or AssertionError
            if time.monotonic() - told_at > 10:
                told_at = time.monotonic()
                self._tell()
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._disasters.mend()
        await self._end_all(signal.SIGKILL)

    def _tell(self) -> None:
        counts = self._traffic.counts
        self._say(
            f"{self._struck_crashes:,} crashes (least at a point: {self._least}), {counts['messages']:,} messages made, "
            f"{len(self._made - self._stored)} chunks not stored, {dict(self._disasters.counts)}"
        )

    async def _keep(self, kind: str, strikes: Callable[[], Strike | None]) -> None:
        """Keep one process of a kind running, each with a strike of its own."""
        while True:
            strike = strikes()
            beyond = kind == "worker" and self._random.random() < 0.4
            await self._run(kind, strike, beyond_proxies=beyond)

    async def _run(
        self, kind: str, strike: Strike | None, *, beyond_proxies: bool = False, **more: Any
    ) -> ChildProcess:
        calm = kind == "worker" and strike is None and self._plan.calm_workers > 0
        size = _CALM_BATCH_SIZE if calm else self._plan.batch_size
        settings = {**self._engines.settings(beyond_proxies=beyond_proxies), "settle_batch_size": size}
        if kind == "gateway":
            settings["port"] = self._port
        order = {"kind": kind, "settings": settings, "seed": self._random.getrandbits(32), "faults": True, **more}
        if strike is not None:
            order |= {"point": strike.point, "how": strike.how, "nth": self._nth(kind, strike)}
        if kind == "worker":
            order["control"] = self._plan.control
        child = self._pool.start(order)
        patience = 4.0 if strike is not None and strike.how == "backend" else _PATIENCE_SECONDS[kind]
        patience = _CALM_SECONDS if calm else patience
        try:
            await asyncio.wait_for(child.ended.wait(), patience)
        except TimeoutError:
            child.send(signal.SIGCONT)
            child.send(signal.SIGKILL)
            await child.ended.wait()
        self._struck_crashes += bool(child.strikes) and not child.told_to_end
        return child

    def _nth(self, kind: str, strike: Strike) -> int:
        if strike.point in {"beating", "sweeping", "copied", "relayed"}:
            return 1
        return self._random.randint(1, _PASSAGES_MOST[kind])

    async def _feed(self, strikes: Callable[[], Strike]) -> None:
        """Publish at the rate of the crashes, and publish again the chunks that are not known to be stored."""
        while True:
            await self._make()
            batch = [self._unstored.popleft() for _ in range(min(_CHUNKS_AT_ONCE, len(self._unstored)))]
            if not batch:
                await asyncio.sleep(0.05)
                continue
            paths = [(number, str(self._engines.directory / f"chunk-{number}.json")) for number in batch]
            gateway = f"http://127.0.0.1:{self._port}"
            struck = self._plan.control is None and self._random.random() < 0.8  # a republished message is not lost
            strike = strikes() if struck else None
            child = await self._run("publisher", strike, chunks=paths, gateway=gateway)
            for number in batch:
                if number in child.stored:
                    self._stored.add(number)
                else:
                    self._unstored.append(number)
            if child.code and child.code > 0:
                await asyncio.sleep(0.5)

    async def _make(self) -> None:
        """Make new chunks while few messages wait, so that crashes always meet messages, and not the same ones."""
        if self._plan.control is not None and self._traffic.counts["messages"] >= self._plan.messages:
            return
        if len(self._unstored) >= _CHUNKS_AT_ONCE or await self._waiting() > _BACKLOG_CHUNKS * self._plan.chunk_size:
            return
        for _ in range(_CHUNKS_AT_ONCE - len(self._unstored)):
            chunk = self._traffic.chunk()
            (self._engines.directory / f"chunk-{chunk.number}.json").write_text(chunk.dump())
            self._made.add(chunk.number)
            self._unstored.append(chunk.number)

    async def _waiting(self) -> int:
        try:
            return await self._engines.waiting()
        except (AMQPError, OSError, EOFError, RuntimeError, StopAsyncIteration, asyncio.CancelledError):
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return 0

    async def _sweep(self) -> None:
        """Make the sweep due every second, also after the death of its worker, whose lease would last ten minutes."""
        while True:
            await asyncio.sleep(1)
            try:
                await execute(self._engines.database_url, _SWEEP_NOW)
            except Exception:  # noqa: BLE001, S112  the database is down at times in a campaign
                continue

    async def _heal_phase(self) -> list[str]:
        """Stop all faults; everything must be settled, dead-lettered or expired before the deadline."""
        await execute(self._engines.database_url, _SWEEP_NOW)
        if self._plan.hurry:
            await execute(self._engines.database_url, "update faregate.message set available_at = now()")
            await execute(self._engines.database_url, "delete from faregate.heartbeat")
        order = {"kind": "worker", "control": self._plan.control, "settings": self._engines.settings()}
        workers = [self._pool.start({**order, "seed": n}) for n in range(2)]
        gateway_order = {"kind": "gateway", "settings": {**self._engines.settings(), "port": self._port}, "seed": 9}
        workers.append(self._pool.start(gateway_order))
        problems = []
        try:
            async with asyncio.timeout(self._plan.heal_seconds):
                await self._store_the_rest()
                while left := await self._unfinished():
                    self._say(f"healing: {left}")
                    await asyncio.sleep(2)
        except TimeoutError:
            problems.append(f"after {self._plan.heal_seconds:.0f} s not finished: {await self._unfinished()}")
        await self._end_all(signal.SIGTERM)
        problems += [f"{w.order['kind']} ended with {w.code} at SIGTERM" for w in workers if w.code != 0]
        return problems + self._pool.failures

    async def _store_the_rest(self) -> None:
        while left := self._made - self._stored:
            number = min(left)
            path = str(self._engines.directory / f"chunk-{number}.json")
            gateway = f"http://127.0.0.1:{self._port}"
            child = await self._run("publisher", None, chunks=[(number, path)], gateway=gateway)
            self._stored |= child.stored
            if number not in child.stored:
                await asyncio.sleep(0.5)

    async def _unfinished(self) -> dict[str, int]:
        """Return counts of the unfinished messages, holds and chunks."""
        import asyncpg

        connection = await asyncpg.connect(self._engines.database_url)
        try:
            left = {
                "outbox": await connection.fetchval(
                    "select count(*) from faregate.message where dead_at is null and queue like 'credits_process%'"
                ),
                "open holds that nobody settles": await connection.fetchval(
                    "select count(*) from faregate.charge where status = 0 and usage_key = any($1)",
                    list(self._traffic.expected.abandoned),
                ),
            }
        finally:
            await connection.close()
        left["broker"] = await self._engines.waiting()
        return {what: count for what, count in left.items() if count}

    async def _end_all(self, how: signal.Signals) -> None:
        children = list(self._pool.children.values())
        for child in children:
            child.send(signal.SIGCONT)
            child.send(how)
        try:
            async with asyncio.timeout(30):
                await asyncio.gather(*(child.ended.wait() for child in children))
        except TimeoutError:
            for child in children:
                child.send(signal.SIGKILL)
            await asyncio.gather(*(child.ended.wait() for child in children))

    async def _verdict(self, problems: Sequence[str]) -> Outcome:
        books = await read_books(self._engines.database_url)
        dead = await self._engines.dead_letters()
        books.dead += dead
        books.waiting += await self._engines.waiting()
        judge = Judge(self._traffic.expected, books)
        judge.judge()
        faults, examples = Counter(judge.faults), dict(judge.examples)
        container = WorkerContainer(settings=isolated_settings(**self._engines.settings()))
        database = container.database()
        await database.open()
        found = await Verifier(database).verify()
        await database.close()
        drifts = [str(drift) for drift in found.drifts]
        told = {"drifts that verify found": drifts, "problems": list(problems)}
        for kind, texts in told.items():
            if texts:
                faults[kind], examples[kind] = len(texts), texts[:5]
        return Outcome(
            self._plan,
            self._targets(),
            {**self._traffic.counts, "keys": len(self._traffic.expected.uses)},
            dict(sorted(self._pool.strikes.items())),
            {**self._disasters.counts, "starts given up for want of an engine": self._pool.refused},
            self._struck_crashes,
            {},
            dict(faults),
            examples,
            {
                "wallets": found.wallets,
                "charges": found.charges,
                "transfers": found.transfers,
                "dead letters": len(dead),
            },
            await self._engines.versions(),
        )


def _cycle(strikes: Sequence[Strike], rng: random.Random) -> Callable[[], Strike]:
    """Return a function that returns all strikes in turn, in a new random order each round."""
    waiting: list[Strike] = []

    def draw() -> Strike:
        if not waiting:
            waiting.extend(strikes)
            rng.shuffle(waiting)
        return waiting.pop()

    return draw
