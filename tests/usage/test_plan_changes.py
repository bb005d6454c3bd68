"""Changes of plan within a period: use is carried over, and at most the largest allowance is granted."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from dependency_injector import providers
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import FixedClock
from faregate.core.errors import FaregateError
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.ledger.recurrence import next_renewal, period_start
from faregate.credit.ledger.settlement import ChargeOpening, PostingRequest
from faregate.credit.ledger.states import TransferNote
from faregate.usage.accounts.wallets import WalletChange
from faregate.usage.features.plan_changes import Features, carried_shares
from faregate.usage.features.plans import Plan, PlanGrant
from faregate.usage.values import Feature, FeatureRef, StartRequest
from faregate.wire.ids import new_uuid7
from support.library import Library

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
DRAW = ("draw",)


def _specs(*grants: tuple[int, Features]) -> list[GrantSpec]:
    return [GrantSpec(amount, GrantSource.PLAN, every="month", features=features) for amount, features in grants]


@pytest.mark.parametrize(
    ("wanted", "used", "shares"),
    [
        ([(1000, None)], {}, [0]),
        ([(1000, None)], {None: 200}, [200]),
        ([(500, None)], {None: 800}, [500]),
        ([(500, None), (100, DRAW)], {None: 200, DRAW: 30}, [200, 30]),
        ([(100, DRAW), (500, None)], {None: 200}, [0, 200]),
        ([(500, None), (100, DRAW)], {None: 550}, [500, 50]),
        ([(1000, None)], {DRAW: 100}, [100]),
        ([(400, None), (400, None)], {None: 500}, [400, 100]),
    ],
)
def test_use_is_deducted_first_from_grants_for_the_same_features(
    wanted: list[tuple[int, Features]], used: dict[Features, int], shares: list[int]
) -> None:
    assert carried_shares(_specs(*wanted), used) == shares


_PLANS = st.lists(st.tuples(st.integers(1, 1000), st.sampled_from([None, DRAW, ("chat",)])), max_size=3)


@given(st.lists(st.tuples(_PLANS, st.lists(st.integers(0, 1000), min_size=3, max_size=3)), max_size=12))
def test_no_sequence_of_changes_grants_more_than_the_largest_allowance(
    changes: Sequence[tuple[list[tuple[int, Features]], list[int]]],
) -> None:
    """What was used in all and what is left never exceed the largest plan; a share never exceeds its grant."""
    used: Counter[Features] = Counter()
    largest = 0
    for plan, wishes in changes:
        specs = _specs(*plan)
        shares = carried_shares(specs, used)
        assert all(0 <= share <= spec.amount for spec, share in zip(specs, shares, strict=True))
        fills = [spec.amount - share for spec, share in zip(specs, shares, strict=True)]
        largest = max(largest, sum(spec.amount for spec in specs))
        assert sum(used.values()) + sum(fills) <= max(largest, sum(used.values()))
        assert sum(used.values()) <= largest
        for spec, fill, wish in zip(specs, fills, wishes, strict=False):
            used[tuple(spec.features) if spec.features else None] += min(fill, wish)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["hour", "day", "3 days", "week", "month", "5 months", "year"]),
    st.timedeltas(timedelta(0), timedelta(days=3000)),
)
def test_moment_is_between_the_start_of_its_period_and_the_next_renewal(
    start: datetime, every: str, later: timedelta
) -> None:
    moment = start + later
    begins = period_start(start, every, at=moment)

    assert start <= begins <= moment < next_renewal(start, every, after=moment)
    assert begins == start or next_renewal(start, every, after=begins - timedelta(microseconds=1)) == begins


@pytest.fixture
async def clock(library: Library) -> FixedClock:
    """January 31st, noon; plans `free` (100 a month), `pro` (500) and `max` (1,000)."""
    clock = FixedClock(START)
    library.credit.clock.override(providers.Object(clock))
    for key, credits in (("free", 100), ("pro", 500), ("max", 1000)):
        await _plan(library, key, PlanGrant(Decimal(credits), "month"))
    return clock


async def _plan(library: Library, key: str, *grants: PlanGrant) -> None:
    await library.usage.catalog().save_plan(Plan(key, grants=grants))


async def _change(library: Library, *plans: str | None) -> None:
    for plan in plans:
        await library.usage.wallets().change("ada", WalletChange({"plan": plan}))


async def _use(library: Library, credits: int) -> None:
    """Charge an amount with the ledger, whose clock the tests advance."""
    ledger, amount = library.credit.service(), credits * 1_000_000

    async def work(session: AsyncSession) -> None:
        owner = (await ledger.ensure_wallets(session, ["ada"]))["ada"].subject_id
        opening = ChargeOpening(owner, owner, None, "f", "individual")
        (outcome,) = await ledger.post(session, [PostingRequest(new_uuid7().hex, amount, amount, b"", opening=opening)])
        assert not isinstance(outcome, FaregateError)

    await library.database.run(work)


async def _check(library: Library) -> None:
    async with library.database.transaction() as session:
        assert await library.credit.verifier().drifts(session) == ()


@pytest.mark.parametrize(
    ("steps", "balance"),
    [
        (["max", 200, "pro", "max"], 800),
        (["max", 800, "pro", "max"], 200),
        (["max", 800, "pro"], 0),
        (["pro", 200, "max"], 800),
        (["pro", 200, None, "pro"], 300),
        (["pro", 500, None, None, "free", "pro", "max"], 500),
        (["pro", 100, "max", 300, "free", "pro", 50, "max"], 550),
        (["pro", "max", "pro"], 500),
    ],
)
async def test_use_is_carried_over_changes_of_plan(
    library: Library, clock: FixedClock, steps: list[Any], balance: int
) -> None:
    for step in steps:
        if isinstance(step, int):
            await _use(library, step)
        else:
            await _change(library, step)
        clock.advance(minutes=1)

    assert await library.balance("ada") == balance
    await _check(library)


async def test_change_keeps_the_renewal_days_and_the_next_period_is_granted_in_full(
    library: Library, clock: FixedClock
) -> None:
    """Also at the end of short months: from the 31st of January on it renews on the 28th, then on the 31st."""
    await _change(library, "pro")
    clock.advance(days=14)
    await _use(library, 400)
    await _change(library, "max")
    assert await library.balance("ada") == 600

    clock.advance(days=14)
    assert await library.balance("ada") == 1000
    (grant,) = (await library.usage.wallets().get("ada"))[0].grants
    assert grant.renews_at == datetime(2026, 3, 31, 12, tzinfo=UTC)


async def test_return_after_the_period_begins_a_new_period(library: Library, clock: FixedClock) -> None:
    await _change(library, "pro")
    await _use(library, 500)
    await _change(library, None)
    clock.advance(days=40)
    await _change(library, "pro")

    assert await library.balance("ada") == 500
    (grant,) = (await library.usage.wallets().get("ada"))[0].grants
    assert grant.renews_at == next_renewal(clock.now(), "month", after=clock.now())


async def test_credits_protected_by_a_hold_are_not_granted_twice(library: Library, clock: FixedClock) -> None:
    """The hold of a running use keeps its credits when the plan changes."""
    await library.feature(Feature("chat", "fixed", parameters={"credits": Decimal(300)}))
    await _change(library, "max")
    started = await library.service.authorize(StartRequest("ada", FeatureRef(value="chat")))
    await _change(library, "pro", "max")
    assert (await library.balance("ada"), await library.free("ada")) == (1000, 700)

    await library.service.void(started.usage_key, user_id="ada")
    assert (await library.balance("ada"), await library.free("ada")) == (1000, 1000)
    await _check(library)


async def test_rolled_over_credits_are_used_first_and_do_not_count(library: Library, clock: FixedClock) -> None:
    await _plan(library, "saver", PlanGrant(Decimal(500), "month", rollover_max=Decimal(100)))
    await _change(library, "saver")
    clock.advance(days=30)
    assert await library.balance("ada") == 600

    await _use(library, 150)
    await _change(library, "max")
    assert await library.balance("ada") == 950


@pytest.mark.parametrize(("owed", "balances"), [(700, [300, 0, 300]), (1000, [0, 0, 0]), (1500, [-500, -500, -500])])
async def test_repayment_of_the_credit_limit_counts_as_used(
    library: Library, clock: FixedClock, owed: int, balances: list[int]
) -> None:
    """Repaid with a part of the grant or with all of it: a change of plan does not grant it again."""
    await library.usage.wallets().change("ada", WalletChange({"credit_limit": Decimal(2000)}))
    await _use(library, owed)
    found: list[Decimal] = []
    for plan in ("max", "pro", "max"):
        await _change(library, plan)
        clock.advance(minutes=1)
        found.append(await library.balance("ada"))

    assert found == balances
    await _check(library)


async def test_each_interval_has_an_allowance_of_its_own(library: Library, clock: FixedClock) -> None:
    await _plan(library, "daily", PlanGrant(Decimal(10), "day"), PlanGrant(Decimal(100), "month"))
    await _change(library, "daily")
    for _ in range(3):
        await _use(library, 10)
        clock.advance(days=1)
    await _change(library, "free", "daily")

    assert await library.balance("ada") == 110


async def test_full_grants_the_whole_allowance_at_each_change(library: Library, clock: FixedClock) -> None:
    library.usage.settings.override(library.core.settings().model_copy(update={"plan_change": "full"}))
    await _change(library, "max")
    await _use(library, 200)
    await _change(library, "pro", "max")

    assert await library.balance("ada") == 1000


async def test_refunded_use_does_not_count(library: Library, clock: FixedClock) -> None:
    """A refunded use does not count as used."""
    await _change(library, "max")
    await _use(library, 200)
    (use, _) = await library.usage.wallets().transactions("ada", before=None, limit=2)
    await library.credit.bookkeeping().refund(
        use.id, amount=None, note=TransferNote(actor="ann", reason="a bad answer")
    )
    await _change(library, "pro", "max")

    assert await library.balance("ada") == 1000
