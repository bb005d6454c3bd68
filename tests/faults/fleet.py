"""`python -m faults.fleet`: many gateways and workers behind a balancer are replaced, and lose Redis, without a failed call.

The fleet begins with an older revision of the code on its own schema. While callers use it, the schema is migrated, every process is
replaced by one of this revision, Redis is killed, the worker that holds a job is killed, and the schema is made newer than the code.
Judged: no call fails, each use is charged once at its price, each wallet shows its own uses at once, no job runs twice at a time,
and `verify` is clean.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faregate.benchmarks.ports import free_port
from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.db.embedded import EmbeddedServer
from faregate.core.db.migrate import current_revision, upgrade
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.credit.proof.verify import Verifier
from faults.balancer import Balancer
from faults.fleet_processes import (
    ForkedLauncher,
    Launcher,
    OldLauncher,
    Process,
    extracted,
    last_before_migration,
    revision_name,
)
from faults.fleet_report import fleet_report
from faults.fleet_traffic import LIMIT, FleetTraffic
from faults.processes import ProcessPool
from support.people import SECRET
from support.redis import RedisServer, redis_server

__all__ = ["FleetPlan", "FleetVerdict", "run_alone", "run_fleet"]

_LATER = "9999_later"
_PATIENCE_SECONDS = 300
_WATCH = """
create table fleet_claim (job text, claimed_at timestamptz, held_until timestamptz, number bigint generated always as identity);
create function fleet_note() returns trigger language plpgsql as $$ begin
  if new.last_started_at is distinct from old.last_started_at then
    insert into fleet_claim (job, claimed_at, held_until) values (new.name, new.last_started_at, old.leased_until);
  end if;
  return null;
end $$;
create trigger fleet_note after update on faregate.scheduled_job for each row execute function fleet_note();
"""
"""Notes each claim of a job, and until when another worker held it then: null if that one had finished."""

_CLAIMS = """
select count(*) as claims, count(*) filter (where held_until > claimed_at) as overlaps,
  count(*) filter (where held_until <= claimed_at) as taken_over, count(distinct job) as jobs
from fleet_claim
"""
_SETTLED = "select count(*) as n, coalesce(sum(consumed), 0)::bigint as micros from faregate.charge where status = 1"
_TAKEN = "select claimed_at from fleet_claim where job = :job and claimed_at > :since order by number limit 1"


@dataclass(frozen=True)
class FleetPlan:
    """A campaign: how many gateways and workers, and what happens to them; callers pause between two uses."""

    gateways: int = 4
    workers: int = 4
    spenders: int = 4
    previous: str | None = None
    takes_over: bool = True
    pause_seconds: float = 0.05


@dataclass
class FleetVerdict:
    """What was found; `faults` is empty if every promise holds."""

    faults: Counter[str] = field(default_factory=Counter[str])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    def lines(self) -> list[str]:
        width = max(map(len, self.facts))
        found = [f"{name:{width}}  {value}" for name, value in self.facts.items()]
        return [*found, *(f"FAULT {name}: {count}" for name, count in self.faults.items())]


class _Fleet:
    """The processes, by port or number."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.balancer = Balancer()
        self.left: list[Process] = []
        self.gateways: dict[int, Process] = {}
        self.workers: list[Process] = []
        self._settings = settings

    async def add(self, launcher: Launcher, plan: FleetPlan) -> None:
        await asyncio.gather(*(self.add_gateway(launcher) for _ in range(plan.gateways)))
        self.workers += await asyncio.gather(*(launcher.start("worker", self._settings) for _ in range(plan.workers)))

    async def add_gateway(self, launcher: Launcher) -> None:
        port = free_port()
        self.gateways[port] = await launcher.start("gateway", {**self._settings, "port": port})
        await self.balancer.admit(port)

    async def replace_all(self, launcher: Launcher) -> None:
        """Replace each process by one of `launcher`: a new one first, then SIGTERM to the oldest, and wait for its end."""
        for port in list(self.gateways):
            await self.add_gateway(launcher)
            self.balancer.dismiss(port)
            await self._end(self.gateways.pop(port))
        for _ in list(self.workers):
            self.workers.append(await launcher.start("worker", self._settings))
            await self._end(self.workers.pop(0))

    async def end(self) -> None:
        for process in [*self.gateways.values(), *self.workers]:
            await self._end(process)
        await self.balancer.close()

    async def _end(self, process: Process) -> None:
        process.send(signal.SIGTERM)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await process.ended.wait()
        self.left.append(process)


class _Campaign:
    """One run."""

    def __init__(self, plan: FleetPlan, server_url: str, redis: RedisServer, directory: Path) -> None:
        self.verdict = FleetVerdict()
        self._plan = plan
        self._redis = redis
        self._directory = directory
        self._settings = {"database_url": server_url, "redis_url": redis.url, "jwt_secret": SECRET,
                          "rate_limit_user": LIMIT, "rate_limit_key": 0}  # fmt: skip
        self._database = Database(server_url)

    async def run(self) -> FleetVerdict:
        await self._database.open()
        pool = ProcessPool(self._directory / "children.log")
        await pool.open()
        fleet = _Fleet(self._settings)
        try:
            await fleet.balancer.open()
            await self._live(fleet, ForkedLauncher(pool), pool)
        finally:
            await fleet.end()
            await pool.close()
            await self._database.close()
        if any(process.code for process in fleet.left) or pool.failures:
            self.verdict.faults["processes that did not end well"] += 1
        return self.verdict

    def _tell(self, step: str) -> None:
        print(f"{SystemClock().now():%H:%M:%S} {step}", file=sys.stderr, flush=True)

    async def _live(self, fleet: _Fleet, launcher: ForkedLauncher, pool: ProcessPool) -> None:
        plan, facts = self._plan, self.verdict.facts
        first: Launcher = launcher
        if plan.previous is not None:
            first = old = OldLauncher(extracted(plan.previous, self._directory / "old"), self._directory / "old.log")
            await old.migrate(self._settings)
        else:
            await upgrade(self._database)
        connection = await self._database.connect()
        await connection.execute(_WATCH)
        await connection.close()
        facts["first revision of code and schema"] = await current_revision(self._database)
        self._tell("start the fleet")
        await fleet.add(first, plan)
        self._tell("call it")
        traffic = FleetTraffic(fleet.balancer.port, pause_seconds=plan.pause_seconds)
        spenders = [f"spender{number}" for number in range(plan.spenders)]
        await traffic.prepare([*spenders, "queued"])
        async with self._in_use(traffic, spenders):
            await self._limited(traffic, "with Redis")
            if plan.previous is not None:
                self._tell("migrate")
                await self._migrate(fleet)
                self._tell("replace every process")
                await fleet.replace_all(launcher)
            self._tell("kill Redis")
            await self._without_redis(traffic)
            if plan.takes_over:
                self._tell("kill a worker within a job")
                await self._take_over(pool)
            self._tell("make the schema newer, and replace every process")
            await self._use_a_later_schema(fleet, launcher)
            self._tell("stop calling")
        facts["requests given to another gateway, because one refused or closed"] = fleet.balancer.turned
        await self._judge(traffic)

    @asynccontextmanager
    async def _in_use(self, traffic: FleetTraffic, spenders: list[str]) -> AsyncGenerator[None]:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as callers:
            for user in spenders:
                callers.create_task(traffic.spend(user, stop))
            callers.create_task(traffic.publish("queued", stop))
            callers.create_task(traffic.look(stop))
            try:
                yield
            finally:
                stop.set()

    async def _migrate(self, fleet: _Fleet) -> None:
        before, after = await upgrade(self._database)
        ready, facts = await fleet.balancer.look(), self.verdict.facts
        facts["migrated under traffic"] = (
            f"{before} → {after}" if before != after else "no migration between the revisions"
        )
        facts["older gateways that stayed ready after it"] = f"{ready} of {len(fleet.gateways)}"

    async def _limited(self, traffic: FleetTraffic, when: str) -> None:
        asked, began = LIMIT * min(self._plan.gateways, 3), SystemClock().monotonic()
        admitted = await traffic.admitted(asked)
        minutes = (SystemClock().monotonic() - began) / 60
        self.verdict.facts[f"requests of one person that passed {when}, of {asked} (limit {LIMIT})"] = admitted
        if when != "without Redis" and admitted > 1.2 * LIMIT * (1 + minutes):
            self.verdict.faults[f"a rate limit that gateways do not share, {when}"] += 1
        if when == "without Redis" and admitted < asked:
            self.verdict.faults["reads refused without Redis"] += 1

    async def _without_redis(self, traffic: FleetTraffic) -> None:
        calls = traffic.counts["calls"]
        await self._redis.stop()
        await self._limited(traffic, "without Redis")
        self.verdict.facts["calls while Redis was dead"] = traffic.counts["calls"] - calls
        await self._redis.start()
        await asyncio.sleep(1.1)  # as documented, gateways leave a Redis that failed alone for a second
        await self._limited(traffic, "after Redis came back empty")

    async def _take_over(self, pool: ProcessPool) -> None:
        """A worker is killed within a job: nobody else runs it until the lease has ended, then one does."""
        child = pool.start({"kind": "job holder", "settings": self._settings, "seed": 1, "job": "roll_up"})
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not child.stored:
                await asyncio.sleep(0.05)
        killed_at = SystemClock().now()
        child.send(signal.SIGKILL)
        rows: list[Any] = []
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not rows:
                await asyncio.sleep(0.2)
                async with self._database.transaction(read_only=True) as session:
                    rows = list(await self._database.rows(session, _TAKEN, job="roll_up", since=killed_at))
        seconds = (rows[0].claimed_at - killed_at).total_seconds()
        self.verdict.facts["seconds from the death of a job's worker to its next run"] = f"{seconds:.0f} (lease 60)"

    async def _use_a_later_schema(self, fleet: _Fleet, launcher: Launcher) -> None:
        """Make the schema newer than the code: it stays ready, and processes may be started again."""
        revision = await current_revision(self._database)
        await self._set_revision(_LATER)
        await fleet.replace_all(launcher)
        ready = await fleet.balancer.look()
        await self._set_revision(revision)
        self.verdict.facts["gateways ready on a schema newer than their code, each replaced"] = (
            f"{ready} of {len(fleet.gateways)}"
        )
        if ready < len(fleet.gateways):
            self.verdict.faults["gateways that are not ready on a newer schema"] += 1

    async def _set_revision(self, revision: str | None) -> None:
        async with self._database.transaction() as session:
            await self._database.rows(session, "update faregate.alembic_version set version_num = :it", it=revision)

    async def _judge(self, traffic: FleetTraffic) -> None:
        uses = sum(traffic.settled.values()) + traffic.asynchronous
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while (settled := await self._one(_SETTLED)).n < uses:
                await asyncio.sleep(0.2)
        claims, facts, faults = await self._one(_CLAIMS), self.verdict.facts, self.verdict.faults
        dead = [letter async for letter in PostgresTransport(self._database).dead_letters()]
        found = await Verifier(self._database).verify()
        facts |= {
            "calls": traffic.counts["calls"],
            "calls that failed": sum(traffic.failed.values()),
            "uses settled once at their price": f"{settled.n} of {uses} ({traffic.asynchronous} by the queue)",
            "claims of jobs": f"{claims.claims} of {claims.jobs} jobs; {claims.overlaps} while another worker held one",
        }
        faults |= traffic.failed
        faults["uses not settled once at their price"] = int((settled.n, settled.micros) != (uses, uses * 420_000))
        faults["jobs run by two workers at a time"] = claims.overlaps
        faults["dead letters and drifts"] = len(dead) + len(found.drifts)
        self.verdict.faults = +faults

    async def _one(self, sql: str) -> Any:
        async with self._database.transaction(read_only=True) as session:
            (row,) = await self._database.rows(session, sql)
        return row


async def run_fleet(plan: FleetPlan, database_url: str, directory: Path) -> FleetVerdict:
    """Run a campaign on an empty database, and judge it."""
    async with redis_server(directory) as redis:
        return await _Campaign(plan, database_url, redis, directory).run()


async def run_alone(plan: FleetPlan) -> FleetVerdict:
    """Run a campaign on a private server, and judge it."""
    with tempfile.TemporaryDirectory(prefix="fg-fleet-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        server = EmbeddedServer(Path(directory) / "pg", options={"max_connections": "400"})
        await asyncio.to_thread(server.start_now)
        try:
            return await run_fleet(plan, server.url, Path(directory))
        finally:
            await asyncio.to_thread(server.stop_now)


def main() -> int:
    """Run a campaign on a private server and print its verdict."""
    parser = argparse.ArgumentParser(prog="faults.fleet", description=__doc__)
    parser.add_argument("--gateways", type=int, default=4)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument(
        "--previous", help="revision to begin with; by default the last one before the newest migration"
    )
    parser.add_argument("--report", type=Path, help="write the page of evidence there")
    given = parser.parse_args()
    previous = given.previous or last_before_migration()
    verdict = asyncio.run(run_alone(FleetPlan(given.gateways, given.workers, previous=previous)))
    print("\n".join(verdict.lines()))
    if given.report is not None:
        text = fleet_report(
            verdict.facts,
            clean=not verdict.faults,
            gateways=given.gateways,
            workers=given.workers,
            code=f"{revision_name('HEAD')}, before {revision_name(previous)}",
            page=str(given.report),
            at=SystemClock().now(),
        )
        given.report.write_text(text)
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
