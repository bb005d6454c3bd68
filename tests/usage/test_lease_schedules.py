"""Random schedules of leases, starts, settlements, expiry, crashes and retries: no free use, no overspending, no double refund.

The real services on data in memory with a clock of the test, and the real block and journal of the client. `make prove` runs
10,000 schedules (`--hypothesis-profile=long`).
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faregate.client.leases.block import LeaseBlock
from faregate.client.leases.journal import LeaseJournal, left_uses
from faregate.core.clock import FixedClock
from faregate.core.errors import FaregateError
from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.ledger.states import ChargeStatus, Flag
from faregate.host import FakeFaregate
from faregate.host.memory.store import Store
from faregate.usage.leases.values import LeaseReport, LeaseState, LeaseUse
from faregate.usage.values import FeatureRef, ModelUsage, SettleRequest, StartRequest
from faregate.wire.credits import to_credits, to_micros

BALANCE = 60
STEPS = 40
TTL = 60
SCHEDULES = 10_000 if settings.get_current_profile_name() == "long" else 60
PAID = {TransferKind.CHARGE, TransferKind.LIMIT_CHARGE}


@dataclass
class Client:
    """A process with one lease; its journal survives it."""

    lease: LeaseState
    block: LeaseBlock
    journal: LeaseJournal


@dataclass
class Schedule:
    """One wallet, and everything that happened to it."""

    random: Random
    directory: Path
    clock: FixedClock = field(default_factory=lambda: FixedClock(datetime(2026, 1, 1, tzinfo=UTC)))
    clients: list[Client] = field(default_factory=list[Client])
    started: list[tuple[str, Decimal]] = field(default_factory=list[tuple[str, Decimal]])
    reports: list[tuple[str, list[LeaseUse]]] = field(default_factory=list[tuple[str, list[LeaseUse]]])
    decided: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    numbers: int = 0

    def __post_init__(self) -> None:
        features = {"search": {"strategy": "per_unit", "parameters": {"units": {"calls": 1}}}}
        self.faregate = FakeFaregate(features=features, balance=BALANCE, clock=self.clock)
        self.leases = self.faregate.container.leases()
        self.usage = self.faregate.container.usage_service()

    @property
    def store(self) -> Store:
        return self.faregate._store

    def name(self) -> str:
        self.numbers += 1
        return f"k{self.numbers}"

    async def take(self) -> None:
        began, lease_id = self.clock.monotonic(), self.name()
        credits = Decimal(self.random.randint(1, 25))
        request = StartRequest("ada", FeatureRef("search"), lease_id, estimated_credits=credits, ttl_seconds=TTL)
        lease = await self.leases.take(request)
        assert await self.leases.take(request) == lease, "a repeated call takes nothing twice"
        journal = LeaseJournal(self.directory, lease_id)
        block = LeaseBlock(lease_id, journal, clock=self.clock.monotonic)
        block.renewed(to_micros(lease.credits), until=began + TTL)
        self.clients.append(Client(lease, block, journal))

    async def use(self) -> None:
        client = self.random.choice(self.clients)
        again = self.decided and self.random.random() < 0.1
        key = self.random.choice(list(self.decided)) if again else self.name()
        credits = self.decided.get(key, Decimal(self.random.randint(0, 40)) / 8)
        client.block.use(key, to_micros(credits))
        self.decided[key] = credits

    async def report(self) -> None:
        client = self.random.choice(self.clients)
        uses = client.block.batch(self.random.randint(1, 6))
        report = await self._report(client.lease.lease_id, [LeaseUse(key, to_credits(amount)) for key, amount in uses])
        if self.random.random() < 0.3:
            return  # the answer is lost; the same uses are reported again
        client.block.reported(uses, held=to_micros(report.lease.credits))
        if report.lease.status != "open":
            client.block.end()

    async def report_again(self) -> None:
        lease_id, uses = self.random.choice(self.reports)
        report = await self._report(lease_id, uses)
        assert all(use.replayed for use in report.uses)

    async def renew(self) -> None:
        client = self.random.choice(self.clients)
        began = self.clock.monotonic()
        size = to_credits(client.block.used) + self.random.randint(1, 25)
        lease = await self.leases.renew(client.lease.lease_id, ttl_seconds=TTL, credits=size)
        client.block.renewed(to_micros(lease.credits), until=began + TTL)

    async def release(self) -> None:
        client = self.random.choice(self.clients)
        client.block.end()
        await self.leases.release(client.lease.lease_id)

    async def crash(self) -> None:
        client = self.random.choice(self.clients)
        self.clients.remove(client)
        client.journal.close()

    async def recover(self) -> None:
        for left in left_uses(self.directory):
            await self._report(left.lease_id, [LeaseUse(key, to_credits(amount)) for key, amount in left.uses])
            left.remove()

    async def start(self) -> None:
        credits, key = Decimal(self.random.randint(1, 20)), self.name()
        await self.usage.authorize(
            StartRequest("ada", FeatureRef("search"), key, estimated_credits=credits, ttl_seconds=TTL)
        )
        self.started.append((key, credits))

    async def settle(self) -> None:
        key, credits = self.random.choice(self.started)
        usages = (ModelUsage(None, quantity=credits, unit="calls"),)
        settled = await self.usage.settle(SettleRequest(key, "ada", FeatureRef("search"), usages))
        assert settled.consumed == credits

    async def void(self) -> None:
        key, _ = self.random.choice(self.started)
        await self.usage.void(key, user_id="ada")

    async def pass_time(self) -> None:
        self.clock.advance(seconds=self.random.choice([1, 20, TTL - 1, TTL, 3 * TTL]))

    async def _report(self, lease_id: str, uses: list[LeaseUse]) -> LeaseReport:
        before = await self.leases.get(lease_id)
        new = [use for use in uses if use.usage_key not in self.store.charges]
        report = await self.leases.report(lease_id, uses)
        self.reports.append((lease_id, uses))
        for use, outcome in zip(uses, report.uses, strict=True):
            assert outcome.error is None, outcome
            assert outcome.charged + outcome.shortfall == use.credits
            if use in new and before.status == "open":
                assert (outcome.shortfall, outcome.flags) == (0, Flag(0)), "an open lease covers what was decided"
            elif use in new:
                assert Flag.LATE in outcome.flags
        return report

    def check(self) -> None:
        for wallet in self.store.wallets.values():
            open_holds = sum(c.hold for c in self.store.charges.values() if c.status is ChargeStatus.OPEN)
            assert wallet.free >= 0
            assert wallet.held == open_holds
            assert wallet.credits == to_micros(BALANCE), "nothing was refunded"

    async def finish(self) -> None:
        for client in list(self.clients):
            client.journal.close()
        self.clients.clear()
        await self.recover()
        self.clock.advance(seconds=5 * TTL)
        wallet, _ = await self.faregate.container.wallets().get("ada")
        assert wallet.held == 0, "each block has come back once"
        paid = self._paid()
        for key, credits in self.decided.items():
            charge = self.store.charges[key]
            assert to_credits(charge.consumed) == credits, "no free use"
            assert paid.get(key, 0) == charge.charged, "charged once"
        assert wallet.balance == BALANCE - to_credits(sum(paid.values()))

    def _paid(self) -> dict[str, int]:
        paid: dict[str, int] = {}
        for transfer in self.store.transfers.values():
            if transfer.kind in PAID and transfer.usage_key is not None:
                assert transfer.usage_key not in paid, "charged once"
                paid[transfer.usage_key] = transfer.amount
        return paid


STEP_NAMES = (
    *("take", "use", "use", "use", "report", "report_again", "renew", "release", "crash", "recover"),
    *("start", "settle", "void", "pass_time"),
)


async def _run(seed: int, directory: Path) -> None:
    schedule = Schedule(Random(seed), directory)
    steps: list[Any] = [getattr(schedule, schedule.random.choice(STEP_NAMES)) for _ in range(STEPS)]
    for step in [schedule.take, *steps]:
        with suppress(FaregateError, IndexError):  # refused, or there is nothing to do it with
            await step()
        schedule.check()
    await schedule.finish()


@settings(deadline=None, max_examples=SCHEDULES)
@given(seed=st.integers(0, 2**32))
def test_any_schedule_charges_each_reported_use_once_and_overspends_nothing(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asyncio.run(_run(seed, tmp_path_factory.mktemp("journals")))
