"""Any sequence of grants, holds, extensions, settlements, voids, refunds, corrections, repetitions and time keeps the invariants.

The rules alone, and again with PostgreSQL in parallel, compared after each step. `make prove` runs the long form
(`--hypothesis-profile=long`): 20,000 examples of the rules, 2,000 on PostgreSQL.
"""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from faregate.core.db.database import Database
from faregate.credit.ledger.accounts import Account, GrantSource, TransferKind
from faregate.credit.ledger.burn_down import burn_order
from faregate.credit.ledger.chain import GENESIS, link
from faregate.credit.ledger.corrections import REFUNDABLE
from faregate.credit.ledger.states import ChargeState, ChargeStatus
from faregate.credit.ledger.time_effects import next_change
from support.driving import (
    Adjust,
    ChargeBack,
    DatabaseDriver,
    Extend,
    Hold,
    Limit,
    Operation,
    PureDriver,
    PutGrant,
    Refund,
    Settle,
    TakeGrant,
    Void,
)

AMOUNT = st.integers(1, 30)
FEATURE = st.sampled_from(["f", "images"])
SECONDS = st.sampled_from([1, 30, 60, 90, 600, 3600, 7200, 86_400])
TAKEN = {ChargeStatus.VOIDED: "HoldClosedError", ChargeStatus.EXPIRED: "HoldClosedError"}


class Books(RuleBasedStateMachine):
    """One wallet, its clock, and every operation so far."""

    steps: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.pure = PureDriver()
        self.asked: list[Operation] = []
        self.keys = 0
        self.seen: list[bytes] = []
        self.steps["examples"] += 1

    def call(self, operation: Operation) -> str:
        """Run an operation; a refused one must change nothing."""
        self.pass_time(1)
        before = self.pure.state()
        outcome = self.pure.apply(operation)
        if outcome != "done":
            assert self.pure.state() == before, f"{operation} was refused ({outcome}) but changed something"
        else:
            self.asked.append(operation)
        self.steps[f"{type(operation).__name__} {outcome}"] += 1
        return outcome

    def pass_time(self, seconds: int) -> None:
        self.pure.clock.advance(seconds=seconds)

    def key(self) -> str:
        self.keys += 1
        return f"k{self.keys}"

    def some(self, kind: type[Operation], number: int) -> Any:
        """One of the operations of this kind so far."""
        asked = [operation for operation in self.asked if isinstance(operation, kind)]
        return asked[number % len(asked)] if asked else None

    @rule(
        amount=AMOUNT,
        source=st.sampled_from([GrantSource.PURCHASE, GrantSource.BONUS, GrantSource.PLAN]),
        priority=st.sampled_from([1, 50, 50]),
        starts=st.none() | SECONDS,
        lasts=st.none() | SECONDS,
        features=st.sampled_from([None, None, None, ("images",)]),
        every=st.sampled_from([None, None, None, "hour", "day"]),
        rollover=st.integers(0, 10),
    )
    def grant(self, starts: int | None, lasts: int | None, every: str | None, rollover: int, **given: Any) -> None:
        now = self.pure.clock.now() + timedelta(seconds=1)
        begins = now + timedelta(seconds=starts) if starts else None
        ends = (begins or now) + timedelta(seconds=lasts) if lasts else None
        rolled = rollover if every else 0
        self.call(PutGrant(self.key(), effective_at=begins, expires_at=ends, every=every, rollover_max=rolled, **given))

    @rule(amount=AMOUNT, ttl=SECONDS, feature=FEATURE)
    def hold(self, amount: int, ttl: int, feature: str) -> None:
        self.call(Hold(self.key(), amount, ttl, feature))

    @precondition(lambda self: self.some(Hold, 0))
    @rule(number=st.integers(0, 50), ttl=SECONDS)
    def extend(self, number: int, ttl: int) -> None:
        hold = self.some(Hold, number)
        outcome = self.call(Extend(hold.key, ttl))
        charge = self.pure.charges[hold.key]
        if outcome == "done":
            assert charge.expires_at is not None
            assert charge.expires_at >= self.pure.clock.now() + timedelta(seconds=ttl)

    @precondition(lambda self: self.some(Hold, 0))
    @rule(number=st.integers(0, 50), amount=st.integers(0, 40))
    def settle(self, number: int, amount: int) -> None:
        hold = self.some(Hold, number)
        self.settle_key(Settle(hold.key, amount, hold.feature))

    @rule(amount=st.integers(0, 40), feature=FEATURE, in_full=st.booleans())
    def settle_unstarted(self, amount: int, feature: str, in_full: bool) -> None:
        self.settle_key(Settle(self.key(), amount, feature, in_full))

    @precondition(lambda self: self.some(Hold, 0))
    @rule(number=st.integers(0, 50))
    def void(self, number: int) -> None:
        self.call(Void(self.some(Hold, number).key))

    @precondition(lambda self: self.some(PutGrant, 0))
    @rule(number=st.integers(0, 50))
    def take_grant(self, number: int) -> None:
        self.call(TakeGrant(self.some(PutGrant, number).key))

    @precondition(lambda self: self.some(Settle, 0))
    @rule(
        number=st.integers(0, 50),
        amount=st.none() | AMOUNT,
        kind=st.sampled_from([TransferKind.CHARGE, TransferKind.CHARGE, TransferKind.LIMIT_CHARGE]),
    )
    def refund(self, number: int, amount: int | None, kind: TransferKind) -> None:
        self.call(Refund(self.some(Settle, number).key, kind, amount, self.key()))

    @rule(amount=st.integers(-20, 20))
    def adjust(self, amount: int) -> None:
        self.call(Adjust(amount, self.key()))

    @precondition(lambda self: self.some(PutGrant, 0))
    @rule(number=st.integers(0, 50))
    def charge_back(self, number: int) -> None:
        self.call(ChargeBack(self.some(PutGrant, number).key))

    @rule(amount=AMOUNT)
    def raise_limit(self, amount: int) -> None:
        self.call(Limit(amount))

    @rule(seconds=SECONDS)
    def wait(self, seconds: int) -> None:
        self.pass_time(seconds)
        self.steps["wait"] += 1

    @precondition(lambda self: self.asked)
    @rule(number=st.integers(0, 1000))
    def repeat(self, number: int) -> None:
        """A repeated operation that succeeded before changes nothing, however much later it is repeated."""
        operation = self.asked[number % len(self.asked)]
        self.pass_time(1)
        before = self.pure.state()
        outcome = self.pure.apply(operation)
        if isinstance(operation, Extend) and outcome == "done":
            return
        assert self.pure.state() == before, f"{operation} counted twice"
        if isinstance(operation, Hold):
            closed = {**TAKEN, ChargeStatus.SETTLED: "AlreadySettledError", ChargeStatus.OPEN: "done"}
            assert outcome == closed[self.pure.charges[operation.key].status]
        elif not isinstance(operation, Extend | Void):
            assert outcome == "done"
        self.steps[f"repeat {type(operation).__name__}"] += 1

    def settle_key(self, operation: Settle) -> None:
        """A settlement charges what hold and free balance cover, and a hold always covers its own amount."""
        self.pass_time(1)
        self.pure.mature()
        known = self.pure.charges.get(operation.key)
        settled = known is not None and known.status is ChargeStatus.SETTLED
        feature = known.feature_key if known else operation.feature
        held = known.hold if known is not None and known.status is ChargeStatus.OPEN else 0
        covered = max(0, self.pure.wallet.free_for(feature) + held)
        self.pure.clock.advance(seconds=-1)
        outcome = self.call(operation)
        if settled:
            assert outcome in {"done", "UsageKeyConflictError"}
        elif operation.in_full and operation.amount > covered:
            assert outcome == "InsufficientCreditsError"
        else:
            assert outcome == "done"
            charge = self.pure.charges[operation.key]
            assert charge.charged == min(operation.amount, covered)
            assert charge.charged + charge.shortfall == operation.amount

    @invariant()
    def counters_follow_from_the_transfers(self) -> None:
        wallet, transfers = self.pure.wallet, self.pure.transfers
        assert wallet.credits == sum(t.amount for t in transfers if t.credit is Account.WALLET)
        assert wallet.debits == sum(t.amount for t in transfers if t.debit is Account.WALLET)
        assert wallet.held == sum(c.hold for c in self.pure.charges.values() if c.status is ChargeStatus.OPEN)
        assert wallet.last_seq == len(transfers)

    @invariant()
    def nothing_is_overspent(self) -> None:
        wallet = self.pure.wallet
        assert wallet.free >= 0
        assert wallet.balance >= -wallet.credit_limit
        assert 0 <= wallet.debt <= wallet.credit_limit
        assert min(wallet.credits, wallet.debits, wallet.held, wallet.earmarked) >= 0

    @invariant()
    def grants_match_their_slices(self) -> None:
        wallet = self.pure.wallet
        moved: Counter[Any] = Counter()
        for part in self.pure.slices:
            moved[part.grant_id] += part.amount
        for grant in wallet.grants.values():
            assert grant.remaining == moved[grant.grant_id]
            assert 0 <= grant.held <= grant.remaining
        restricted = [grant for grant in wallet.grants.values() if grant.features is not None]
        assert wallet.balance == sum(moved.values()) - wallet.debt
        assert wallet.earmarked == sum(grant.remaining - grant.held for grant in restricted)

    @invariant()
    def transfers_are_only_appended(self) -> None:
        hashes = [transfer.hash for transfer in self.pure.transfers]
        assert hashes[: len(self.seen)] == self.seen
        self.seen = hashes

    @invariant()
    def each_use_is_charged_once_and_refunded_at_most_once(self) -> None:
        transfers = self.pure.transfers
        for original in transfers:
            if original.kind in REFUNDABLE:
                back = sum(
                    t.amount for t in transfers if t.kind is TransferKind.REFUND and t.corrects_seq == original.seq
                )
                assert back <= original.amount
        charged: Counter[str] = Counter()
        for transfer in transfers:
            if transfer.usage_key is not None and transfer.kind in REFUNDABLE:
                charged[transfer.usage_key] += transfer.amount
        assert charged == Counter({k: c.charged for k, c in self.pure.charges.items() if c.charged})

    @invariant()
    def changes_by_time_are_applied(self) -> None:
        """The next change is scheduled no later than it is due; expired credits are removed unless a hold or debt needs them."""
        wallet, charges = self.pure.wallet, self.pure.charges.values()
        due = next_change(wallet, charges)
        assert due is None or (wallet.next_change_at is not None and wallet.next_change_at <= due)
        self.pure.mature()
        now = self.pure.clock.now()
        assert all(not _expired(charge, now) for charge in charges)
        lapsed = sum(g.remaining for g in wallet.grants.values() if g.active and g.lapsed(now))
        assert lapsed <= wallet.held + wallet.debt

    @invariant()
    def grants_are_used_in_burn_order(self) -> None:
        """A later grant of the burn order is not used while an earlier one has credits left (general grants: none held)."""
        if self.pure.wallet.held or not self.pure.transfers:
            return
        last = self.pure.transfers[-1]
        if last.kind is not TransferKind.CHARGE:
            return
        taken = {part.grant_id for part in self.pure.slices if part.seq == last.seq}
        general = [g for g in self.pure.wallet.grants.values() if g.features is None]
        order = burn_order([g for g in general if g.remaining], now=self.pure.clock.now())
        spent_later = [g.grant_id in taken for g in order]
        assert True not in spent_later[1:] or last.created_at < self.pure.clock.now()

    def teardown(self) -> None:
        """Compute the chain again from its first transfer."""
        slices: dict[int, list[Any]] = {}
        for part in self.pure.slices:
            slices.setdefault(part.seq, []).append((part.grant_id, part.amount))
        head, balance = GENESIS, 0
        for t in self.pure.transfers:
            balance += t.amount * ((t.credit is Account.WALLET) - (t.debit is Account.WALLET))
            head = link(
                head,
                wallet_id=t.wallet_id,
                seq=t.seq,
                kind=t.kind,
                debit=t.debit,
                credit=t.credit,
                amount=t.amount,
                balance_after=balance,
                corrects_seq=t.corrects_seq,
                effective_at=t.effective_at,
                created_at=t.created_at,
                texts=(t.usage_key, t.operation_key, t.actor, t.seal),
                slices=slices.get(t.seq, []),
            )
            assert t.hash == head
        assert self.pure.wallet.head_hash == head


class BooksOnPostgres(Books):
    """The same steps through the services on PostgreSQL: same outcomes, same state, and `verify` finds nothing."""

    database: ClassVar[Database]
    runner: ClassVar[asyncio.Runner]
    steps: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.real = DatabaseDriver(self.database, self.runner)
        pure = self.pure.apply

        def both(operation: Operation) -> str:
            outcome = pure(operation)
            assert self.real.apply(operation) == outcome, f"PostgreSQL has another outcome for {operation}"
            return outcome

        self.pure.apply = both  # type: ignore[method-assign]

    def pass_time(self, seconds: int) -> None:
        super().pass_time(seconds)
        moment = self.pure.clock.now()
        self.real.clock.advance(seconds=(moment - self.real.clock.now()).total_seconds())

    @invariant()
    def postgres_agrees(self) -> None:
        if hasattr(self, "real"):
            self.pass_time(0)
            assert self.real.state() == self.pure.state()
            assert self.real.drifts() == ()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.real.close()


def _expired(charge: ChargeState, now: Any) -> bool:
    return charge.status is ChargeStatus.OPEN and charge.expires_at is not None and charge.expires_at <= now


def _examples(*, short: int, long: int) -> int:
    return long if settings.get_current_profile_name() == "long" else short


def _prove(machine: type[Books], *, examples: int, steps: int) -> None:
    """Run the examples a thousand at a time: what Hypothesis stores during a run makes each further example slower."""
    machine.steps.clear()
    while machine.steps["examples"] < examples:
        _run(machine, examples=min(1_000, examples - machine.steps["examples"]), steps=steps)
    total = sum(count for name, count in machine.steps.items() if name != "examples")
    print(f"\n{machine.__name__}: {machine.steps.pop('examples'):,} examples, {total:,} steps")
    for name, count in sorted(machine.steps.items()):
        print(f"  {name:32} {count:>12,}")


def _run(machine: type[Books], *, examples: int, steps: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=checks,
            print_blob=True,
            report_multiple_bugs=False,
        ),
    )


def test_rules_keep_the_invariants() -> None:
    _prove(Books, examples=_examples(short=60, long=20_000), steps=50)


@pytest.fixture
def runner(database_url: str) -> Any:
    with asyncio.Runner() as runner:
        database = Database(database_url, pool_size=2)
        runner.run(database.open())
        BooksOnPostgres.runner, BooksOnPostgres.database = runner, database
        yield
        runner.run(database.close())


@pytest.mark.usefixtures("runner")
def test_postgresql_keeps_the_same_state() -> None:
    _prove(BooksOnPostgres, examples=_examples(short=12, long=2_000), steps=30)
