"""`python -m faults.leases`: leases are spent while their clients and the gateway are killed, and the ledger is judged.

Judged: nothing is overspent, each decided use is charged once at its price, nothing is charged that nobody wanted, each block
comes back, and `verify` is clean.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2

from faregate.benchmarks.ports import free_port
from faregate.core.db.database import Database
from faregate.core.db.embedded import EmbeddedServer
from faregate.core.db.migrate import upgrade
from faregate.credit.proof.verify import Verifier
from faults.lease_roles import CLIENT_POINTS, LEASE_FEATURE, LEASE_KEY
from faults.processes import ChildProcess, ProcessPool
from support.gateways import listening

__all__ = ["LeasePlan", "LeaseVerdict", "run_campaign"]

GATEWAY_POINTS = ("written", "committed")
CREDITS_PER_KILL = 45
"""About what the uses of one client cost: the wallet is not empty before the last client, which empties it."""


@dataclass(frozen=True)
class LeasePlan:
    """A campaign: how many kills of clients and of gateways; every third user's leases last 2 seconds only."""

    seed: int = 1
    client_kills: int = 10
    gateway_kills: int = 4
    users: int = 3

    def kills(self) -> list[int]:
        """Return the kills of each user's clients."""
        each, more = divmod(self.client_kills, self.users)
        return [each + (number < more) for number in range(self.users)]

    def balance(self, number: int) -> int:
        """Return what a user is granted."""
        return CREDITS_PER_KILL * (self.kills()[number] + 1)


@dataclass
class LeaseVerdict:
    """What was found; `faults` is empty if every promise holds."""

    faults: Counter[str] = field(default_factory=Counter[str])
    struck: Counter[str] = field(default_factory=Counter[str])
    decided: int = 0
    charged: int = 0
    late: int = 0
    shortfall: Decimal = Decimal(0)

    def lines(self) -> list[str]:
        """Return the verdict as lines of a report."""
        return [
            f"killed: {dict(sorted(self.struck.items()))}",
            f"uses decided {self.decided}, charged {self.charged}, of them late {self.late}",
            f"shortfall of late uses {self.shortfall}",
            "overspent 0; **Clean**" if not self.faults else f"**NOT CLEAN** {dict(self.faults)}",
        ]


class _Campaign:
    def __init__(self, plan: LeasePlan, database_url: str, directory: Path) -> None:
        self._plan = plan
        self._url = database_url
        self._directory = directory
        self._random = random.Random(plan.seed)
        self._pool = ProcessPool(directory / "processes.log")
        self._port = free_port()
        self._gateway_kills = 0
        self.users = [f"user-{number}" for number in range(plan.users)]

    async def run(self) -> Counter[str]:
        await self._pool.open()
        gateway = asyncio.create_task(self._keep_gateway())
        try:
            await listening(self._port)
            await self._prepare()
            shares = zip(self.users, self._plan.kills(), strict=True)
            await asyncio.gather(*(self._spend(user, kills) for user, kills in shares))
        finally:
            gateway.cancel()
            await self._pool.close()
        return self._pool.strikes

    async def _keep_gateway(self) -> None:
        """Keep a gateway running; each of the first ones is killed at a failpoint."""
        while True:
            order: dict[str, Any] = {
                "kind": "gateway",
                "settings": {"database_url": self._url, "port": self._port},
                "seed": self._random.random(),
            }
            if self._gateway_kills < self._plan.gateway_kills:
                order |= {
                    "point": GATEWAY_POINTS[self._gateway_kills % len(GATEWAY_POINTS)],
                    "how": "at once",
                    "nth": self._random.randint(2, 6),
                }
            self._gateway_kills += 1
            await self._pool.start(order).ended.wait()

    async def _prepare(self) -> None:
        headers = {"x-server-api-key": LEASE_KEY}
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self._port}", headers=headers) as http:
            feature = {"strategy": "per_unit", "parameters": {"units": {"calls": 1}}}
            (await http.put(f"/api/features/{LEASE_FEATURE}", json=feature)).raise_for_status()
            for number, user in enumerate(self.users):
                grant = {"credits": self._plan.balance(number), "source": "purchase"}
                (await http.post(f"/api/wallets/{user}/grants", json=grant)).raise_for_status()

    async def _spend(self, user: str, kills: int) -> None:
        for number in range(kills):
            point = list(CLIENT_POINTS)[number % len(CLIENT_POINTS)]
            nth = self._random.randint(1, 3) if "call" in point or "answer" in point else self._random.randint(1, 20)
            await self._client(user, dies=point, nth=1 if point == "renewed" else nth)
        await self._client(user, uses=200)
        await self._client(user, uses=0)

    async def _client(self, user: str, *, uses: int = 30, **more: Any) -> ChildProcess:
        child = self._pool.start(
            {
                "kind": "lease client",
                "seed": self._random.random(),
                "gateway": f"http://127.0.0.1:{self._port}",
                "user": user,
                "uses": uses,
                "ttl_seconds": 2 if user == self.users[-1] else 60,
                "spool": str(self._directory / user),
                "notes": str(self._directory / f"{user}.notes"),
                **more,
            }
        )
        async with asyncio.timeout(120):
            await child.ended.wait()
        return child


async def run_campaign(plan: LeasePlan, database_url: str, directory: Path) -> LeaseVerdict:
    """Run a campaign on a migrated database and judge it."""
    campaign = _Campaign(plan, database_url, directory)
    verdict = LeaseVerdict(struck=await campaign.run())
    database = Database(database_url)
    await database.open()
    try:
        for number, user in enumerate(campaign.users):
            await _judge(database, user, directory / f"{user}.notes", verdict, granted=plan.balance(number))
        verdict.faults += Counter(drift.check for drift in (await Verifier(database).verify()).drifts)
    finally:
        await database.close()
    if wanting := plan.client_kills - sum(n for name, n in verdict.struck.items() if name.startswith("lease")):
        verdict.faults["kills of clients that did not happen"] = wanting
    return verdict


async def _judge(database: Database, user: str, notes: Path, verdict: LeaseVerdict, *, granted: int) -> None:
    wanted, decided = _noted(notes)
    charges = await _charges(database, user)
    verdict.decided += len(decided)
    verdict.charged += len(charges)
    for key, credits in decided.items():
        if key not in charges:
            verdict.faults["decided and never charged"] += 1
        elif charges[key].consumed != credits * 1_000_000:
            verdict.faults["charged at another price"] += 1
    for key, charge in charges.items():
        late = bool(charge.flags & 1)
        verdict.late += late
        verdict.shortfall += Decimal(charge.shortfall) / 1_000_000
        if key not in wanted:
            verdict.faults["charged and wanted by nobody"] += 1
        if charge.shortfall and not late:
            verdict.faults["overspent: a use that its lease did not cover"] += 1
    if charges and sum(charge.charged for charge in charges.values()) > granted * 1_000_000:
        verdict.faults["overspent: more charged than granted"] += 1


async def _charges(database: Database, user: str) -> dict[str, Any]:
    async with database.transaction(read_only=True) as session:
        rows = await database.rows(
            session,
            "select usage_key, consumed, charged, shortfall, flags from faregate.charge c "
            "join faregate.subject s on s.subject_id = c.wallet_id where s.external_id = :user and c.status = 1",
            user=user,
        )
    return {row.usage_key: row for row in rows}


def _noted(notes: Path) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    wanted: dict[str, Decimal] = {}
    decided: dict[str, Decimal] = {}
    for line in notes.read_text().splitlines():
        kind, key, credits = line.split()
        (wanted if kind == "wanted" else decided)[key] = Decimal(credits)
    return wanted, decided


async def _private(plan: LeasePlan) -> LeaseVerdict:
    with tempfile.TemporaryDirectory(prefix="fg-leases-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        server = EmbeddedServer(Path(directory) / "pg")
        await asyncio.to_thread(server.start_now)
        try:
            database = Database(server.url)
            await upgrade(database)
            await database.close()
            return await run_campaign(plan, server.url, Path(directory))
        finally:
            await asyncio.to_thread(server.stop_now)


def main() -> int:
    """Run a campaign on a private server and print its verdict."""
    parser = argparse.ArgumentParser(prog="faults.leases", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--client-kills", type=int, default=200)
    parser.add_argument("--gateway-kills", type=int, default=60)
    parser.add_argument("--users", type=int, default=4)
    given = parser.parse_args()
    verdict = asyncio.run(_private(LeasePlan(given.seed, given.client_kills, given.gateway_kills, given.users)))
    print("\n".join(verdict.lines()))
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
