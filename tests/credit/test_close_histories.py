"""Any history of wallets, closed month by month: opening + movements = closing, each month begins where the last one ended.

A second program in Python follows the transfers and the payments, and must come to the same figures for each wallet and in total.
"""

import random
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from faregate.core.db.database import Database
from faregate.core.errors import FaregateError
from faregate.credit.closing.movements import SIGNS, Movement, fate_of, movements_of
from faregate.credit.closing.recognition import NO_VALUE, GrantFate, PaidValue, paid_value
from faregate.credit.closing.values import Close, WalletClose
from faregate.credit.ledger.accounts import GRANT_ORIGINS, Account, GrantSource, TransferKind
from faregate.credit.ledger.corrections import REFUNDABLE
from faregate.credit.ledger.states import GrantState, Transfer, TransferNote
from faregate.credit.proof.verify import Verifier
from faregate.wire.credits import to_credits
from support.ledger import START, DatabaseLedger, micros

OWNERS = ("ada", "bela", "carl")
SOURCES = [GrantSource.PURCHASE, GrantSource.PURCHASE, GrantSource.BONUS, GrantSource.PLAN, GrantSource.OPENING]
NOTE = TransferNote(actor="support", reason="by hand")
MOVED = [movement.value for movement in Movement if movement is not Movement.GRANTED]
VALUES = ("revenue", "breakage", "forfeited")


class History:
    """Wallets on one clock, random operations, and what the second program knows."""

    def __init__(self, database: Database, seed: int) -> None:
        self.random = random.Random(seed)
        self.database = database
        self.ledgers = {owner: DatabaseLedger(database) for owner in OWNERS}
        first = self.ledgers["ada"]
        for owner, ledger in self.ledgers.items():
            ledger.OWNER, ledger.clock = owner, first.clock
            ledger.service, ledger.corrections, ledger.closes = first.service, first.corrections, first.closes
            ledger.repository = first.repository
        self.clock, self.closes = first.clock, first.closes
        self.count = 0
        self.limits: dict[str, int] = dict.fromkeys(OWNERS, 0)
        self.payments: list[tuple[str, Any, int, datetime]] = []
        self.booked: list[tuple[str, Any, int]] = []
        self.seen: dict[str, int] = dict.fromkeys(OWNERS, 0)
        self.values: dict[str, dict[Any, PaidValue]] = {owner: {} for owner in OWNERS}

    async def step(self) -> None:
        """Do one random thing; a refused one changes nothing."""
        self.count += 1
        owner = self.random.choice(OWNERS)
        act = self.random.choice(
            [self.grant, self.grant, self.use, self.use, self.use, self.hold, self.refund, self.void, self.adjust,
             self.charge_back, self.limit, self.pay, self.pay, self.renewing]
        )  # fmt: skip
        try:
            await act(owner)
        except FaregateError:
            return

    async def grant(self, owner: str) -> None:
        days = self.random.choice([None, 3, 20, 45])
        back = self.random.choice([0, 0, 0, 15, 40])
        expires = self.clock.now() + timedelta(days=days) if days else None
        source = self.random.choice(SOURCES)
        effective = max(START, self.clock.now() - timedelta(days=back)) if back else None
        await self.ledgers[owner].grant(
            f"grant {self.count}", self.amount(), expires_at=expires, source=source, effective_at=effective
        )
        if self.random.random() < 0.5 and source is GrantSource.PURCHASE:
            await self.pay(owner, name=f"grant {self.count}")

    async def renewing(self, owner: str) -> None:
        if self.random.random() < 0.3:
            name = f"grant {self.count}"
            await self.ledgers[owner].grant(
                name, self.amount(), source=GrantSource.PLAN, every="10 days", rollover_max=3
            )

    async def use(self, owner: str) -> None:
        await self.ledgers[owner].settle(f"use {self.count}", self.amount())

    async def hold(self, owner: str) -> None:
        await self.ledgers[owner].hold(f"hold {self.count}", self.random.randint(1, 5), ttl=86_400)
        self.clock.advance(hours=self.random.randint(1, 40))
        await self.ledgers[owner].settle(f"hold {self.count}", self.random.randint(0, 6))

    async def refund(self, owner: str) -> None:
        charge = await self.pick(owner, REFUNDABLE)
        amount = self.random.choice([None, self.random.randint(1, charge.amount)])
        await self.database.run(
            lambda session: self.ledgers[owner].corrections.refund(
                session, transaction(charge), amount=amount, note=NOTE
            )
        )

    async def void(self, owner: str) -> None:
        grants = (await self.ledgers[owner].state())[1]
        keys = [grant.key for grant in grants if grant.key is not None]
        if keys and self.random.random() < 0.3:
            await self.ledgers[owner].void_grant(self.random.choice(keys))

    async def adjust(self, owner: str) -> None:
        amount = micros(self.random.choice([-3, 2, 5]))
        await self.database.run(
            lambda session: self.ledgers[owner].corrections.adjust(session, owner, amount=amount, note=NOTE)
        )

    async def charge_back(self, owner: str) -> None:
        purchase = await self.pick(owner, {TransferKind.GRANT})
        if self.random.random() < 0.4:
            await self.database.run(
                lambda session: self.ledgers[owner].corrections.charge_back(session, transaction(purchase), note=NOTE)
            )

    async def limit(self, owner: str) -> None:
        self.limits[owner] += self.random.choice([0, 20, 50])
        await self.ledgers[owner].set_limit(self.limits[owner])

    async def pay(self, owner: str, *, name: str | None = None) -> None:
        grants = [grant for grant in (await self.ledgers[owner].state())[1] if name in {None, grant.key}]
        if not grants:
            return
        grant, cents = self.random.choice(grants), self.random.choice([999, 1, 1234, -5, -300])
        paid_at = max(START, self.clock.now() - timedelta(days=self.random.choice([0, 0, 35])))
        await self.closes.record_payment(
            owner, grant.grant_id, Decimal(cents).scaleb(-2), key=f"payment {self.count}", paid_at=paid_at
        )
        self.payments.append((owner, grant.grant_id, cents, paid_at))

    async def pick(self, owner: str, kinds: Any) -> Transfer:
        found = [transfer for transfer in await self.ledgers[owner].moved() if transfer.kind in kinds]
        if not found:
            raise FaregateError("nothing to correct")
        return self.random.choice(found)

    def amount(self) -> Decimal:
        return Decimal(self.random.randint(1, 30_000_000)).scaleb(-6)

    async def expect(
        self, owner: str, until: datetime
    ) -> tuple[int, dict[Movement, int], dict[str, int], PaidValue, PaidValue]:
        """Return the transfers of the month and what they add up to, and the paid value before and after it."""
        transfers = [transfer for transfer in await self.ledgers[owner].moved() if transfer.effective_at < until]
        part, self.seen[owner] = transfers[self.seen[owner] :], len(transfers)
        sums = movements_of((t.kind, t.debit, t.credit, t.amount) for t in part)
        before = sum_of(self.values[owner])
        granted = await self.follow(owner, transfers, part)
        return len(part), sums, granted, before, sum_of(self.values[owner])

    async def follow(self, owner: str, transfers: list[Transfer], part: list[Transfer]) -> dict[str, int]:
        """Divide the price of each paid grant of the owner, from its first transfer on."""
        grants = {grant.grant_id: grant for grant in (await self.ledgers[owner].state())[1]}
        slices = await self.slices(owner, transfers)
        fates: dict[Any, GrantFate] = defaultdict(GrantFate)
        granted: dict[str, int] = defaultdict(int)
        for transfer in transfers:
            moved = slices[transfer.seq]
            if transfer.kind is TransferKind.GRANT:
                filled = next(iter(moved), None) or self.filled(grants.values(), transfer)
                fates[filled] += GrantFate(transfer.amount, transfer.amount - sum(moved.values()))
                if transfer in part and transfer.debit is not Account.ADJUSTMENT:
                    granted[grants[filled].source.value] += transfer.amount
            elif fate := fate_of(transfer.kind):
                for grant_id, amount in moved.items():
                    fates[grant_id] += GrantFate(**{fate.value: -amount})
        paid: dict[Any, int] = defaultdict(int)
        for _, grant_id, cents in (payment for payment in self.booked if payment[0] == owner):
            paid[grant_id] += cents
        self.values[owner] = {grant_id: paid_value(cents, fates[grant_id]) for grant_id, cents in paid.items()}
        return dict(granted)

    async def slices(self, owner: str, transfers: list[Transfer]) -> dict[int, dict[Any, int]]:
        """Return what each transfer put into grants and took from them."""
        found: dict[int, dict[Any, int]] = defaultdict(dict)
        if transfers:
            seqs = [transfer.seq for transfer in transfers]
            async with self.database.transaction(read_only=True) as session:
                for one in await self.ledgers[owner].repository.slices(session, transfers[0].wallet_id, seqs):
                    found[one.seq][one.grant_id] = one.amount
        return found

    def filled(self, grants: Any, transfer: Transfer) -> Any:
        """Return the grant of a filling without a slice: the one that was made with it, else the one that began last."""
        able = [
            grant
            for grant in grants
            if GRANT_ORIGINS[grant.source] is transfer.debit
            and grant.amount <= transfer.amount
            and grant.created_at <= transfer.created_at
            and grant.effective_at <= transfer.effective_at
        ]

        def nearness(grant: GrantState) -> tuple[bool, bool, datetime]:
            return (
                grant.created_at == transfer.created_at,
                grant.effective_at == transfer.effective_at,
                grant.created_at,
            )

        return max(able, key=nearness).grant_id

    def book_payments(self, until: datetime) -> tuple[int, int]:
        """Let the payments before `until` belong to the month; return what was received and returned."""
        mine = [payment for payment in self.payments if payment[3] < until]
        self.payments = [payment for payment in self.payments if payment[3] >= until]
        self.booked += [(owner, grant_id, cents) for owner, grant_id, cents, _ in mine]
        cents = [payment[2] for payment in mine]
        return sum(c for c in cents if c > 0), -sum(c for c in cents if c < 0)


def transaction(transfer: Transfer) -> str:
    return f"{transfer.wallet_id}-{transfer.seq}"


def sum_of(values: dict[Any, PaidValue]) -> PaidValue:
    total = NO_VALUE
    for value in values.values():
        total -= PaidValue(-value.paid, -value.revenue, -value.breakage, -value.forfeited, -value.deferred)
    return total


def assert_adds_up(found: WalletClose) -> None:
    moved = sum(SIGNS[Movement(name)] * getattr(found, name) for name in MOVED) + sum(found.granted.values())
    value = found.value
    assert found.opening + moved == found.closing
    assert value.deferred_closing == value.deferred_opening + value.received - value.repaid - sum(
        getattr(value, name) for name in VALUES
    )


async def check_month(history: History, close: Close, before: dict[str | None, WalletClose]) -> None:
    received, repaid = history.book_payments(close.until)
    total: dict[str, Any] = defaultdict(int)
    statements, _ = await history.closes.statements(close.period)
    by_owner = {statement.owner_id: statement for statement in statements}
    for owner in OWNERS:
        count, sums, granted, value_before, value = await history.expect(owner, close.until)
        total["transfers"] += count
        if owner not in by_owner:
            assert not count
            continue
        found = by_owner[owner]
        assert_adds_up(found)
        last = before.get(owner)
        assert (found.opening, found.value.deferred_opening) == (
            (last.closing, last.value.deferred_closing) if last is not None else (0, 0)
        )
        assert {name: to_credits(sums[Movement(name)]) for name in MOVED} == {
            name: getattr(found, name) for name in MOVED
        }
        assert {source: to_credits(amount) for source, amount in granted.items()} == found.granted
        assert [getattr(found.value, name) * 100 for name in VALUES] == [
            getattr(value, name) - getattr(value_before, name) for name in VALUES
        ]
        assert (found.value.deferred_opening * 100, found.value.deferred_closing * 100) == (
            value_before.deferred,
            value.deferred,
        )
        before[owner] = found
    whole = close.statement
    assert_adds_up(whole)
    assert (close.transfers, whole.value.received * 100, whole.value.repaid * 100) == (
        total["transfers"],
        received,
        repaid,
    )
    for name in ("opening", "closing", *MOVED):
        assert getattr(whole, name) == sum(getattr(statement, name) for statement in statements)
    for name in (*VALUES, "deferred_opening", "deferred_closing", "received", "repaid"):
        assert getattr(whole.value, name) == sum(getattr(statement.value, name) for statement in statements)
    assert whole.opening == (before[None].closing if None in before else 0)
    before[None] = whole


async def live(database: Database, seed: int, *, months: int, steps: int) -> History:
    history = History(database, seed)
    before: dict[str | None, WalletClose] = {}
    for number in range(months):
        for _ in range(history.random.randint(0, steps)):
            await history.step()
            history.clock.advance(hours=history.random.randint(0, 24))
        year, month = divmod(number, 12)
        period = f"{2026 + year}-{month + 1:02}"
        over = datetime(2026 + (number + 1) // 12, (number + 1) % 12 + 1, 1, tzinfo=START.tzinfo)
        if history.clock.now() < over:
            history.clock.advance(seconds=(over - history.clock.now()).total_seconds())
        close = await history.closes.run(period)
        await check_month(history, close, before)
    return history


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_histories_add_up_and_verify(database: Database, seed: int) -> None:
    await live(database, seed, months=5, steps=30)

    assert (await Verifier(database).verify()).drifts == ()


@pytest.mark.parametrize("seed", range(3, 11))
async def test_many_random_histories_add_up_and_verify(database: Database, seed: int) -> None:
    history = await live(database, seed, months=14, steps=60)
    late = [close.late for close in await history.closes.list()]

    assert (await Verifier(database).verify()).drifts == ()
    assert sum(late) > 0
