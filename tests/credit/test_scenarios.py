"""Scenarios with worked numbers, retyped from public test suites of the field; the numbers are those of an index.

Each runs on the rules alone and again on PostgreSQL.
"""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from faregate.core.db.database import Database
from faregate.core.errors import KeyConflictError
from faregate.credit.errors import (
    AlreadySettledError,
    InsufficientCreditsError,
    SpendingLimitError,
    UsageKeyConflictError,
)
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.limits import member_scope
from faregate.credit.ledger.states import ChargeStatus, Flag
from support.ledger import START, DatabaseLedger, Ledger, PureLedger
from support.locks import until_waiting

BONUS, PURCHASE = GrantSource.BONUS, GrantSource.PURCHASE


@pytest.fixture(params=["pure", "database"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "pure":
        return PureLedger()
    return DatabaseLedger(request.getfixturevalue("database"))


@pytest.fixture
def another(ledger: Ledger) -> Ledger:
    """A second wallet, in the same database if there is one."""
    if not isinstance(ledger, DatabaseLedger):
        return PureLedger()
    other = DatabaseLedger(ledger.database)
    other.OWNER = "another owner"
    return other


async def test_1_lower_priority_numbers_burn_first(ledger: Ledger) -> None:
    await ledger.grant("G1", 100, priority=1)
    await ledger.grant("G2", 100, priority=2)
    await ledger.use(120)

    assert await ledger.left() == {"G1": 0, "G2": 80}


async def test_2_earlier_expiry_burns_first(ledger: Ledger) -> None:
    await ledger.grant("G2", 100, expires_at=START + timedelta(days=36500))
    await ledger.grant("G1", 100, expires_at=START + timedelta(days=30))
    await ledger.use(120)

    assert await ledger.left() == {"G1": 0, "G2": 80}


async def test_4_uncovered_amount_is_shortfall(ledger: Ledger) -> None:
    charge = await ledger.use(50)

    assert (charge.charged, charge.shortfall, charge.flags) == (0, 50_000_000, Flag.NO_HOLD | Flag.SHORTFALL)
    assert await ledger.balance() == 0


async def test_5_voided_grant_is_removed(ledger: Ledger) -> None:
    await ledger.grant("G", 100)
    ledger.clock.advance(minutes=59)
    await ledger.use(50)
    ledger.clock.advance(minutes=1)
    await ledger.void_grant("G")
    ledger.clock.advance(minutes=1)
    charge = await ledger.use(50)

    assert (await ledger.balance(), charge.shortfall) == (0, 50_000_000)


async def test_6_grant_counts_from_its_effective_moment(ledger: Ledger) -> None:
    await ledger.grant("G", 100, effective_at=START + timedelta(days=10))
    await ledger.use(50)
    ledger.clock.advance(days=5)
    at_day_5 = await ledger.balance()
    ledger.clock.advance(days=5)

    assert (at_day_5, await ledger.balance()) == (0, 100)


async def test_7_recurring_grant_renews_without_debt(ledger: Ledger) -> None:
    await ledger.grant("G", 100, every="day")
    charge = await ledger.use(120)
    ledger.clock.advance(days=1)

    assert (charge.shortfall, await ledger.balance()) == (20_000_000, 100)


async def test_7b_with_a_credit_limit_the_renewal_repays_it_first(ledger: Ledger) -> None:
    await ledger.set_limit(20)
    await ledger.grant("G", 100, every="day")
    charge = await ledger.use(120)
    overdrawn = await ledger.balance()
    ledger.clock.advance(days=1)

    assert (charge.shortfall, overdrawn) == (0, -20)
    assert await ledger.balance() == 80
    assert await ledger.free() == 100


async def test_8_grant_of_lower_rank_is_used_second(ledger: Ledger) -> None:
    await ledger.grant("first", 100, every="day", priority=1)
    await ledger.use(30)
    await ledger.grant("second", 100, priority=2)
    await ledger.use(20)

    assert await ledger.left() == {"first": 50, "second": 100}


async def test_9_rollover_is_clamped(ledger: Ledger) -> None:
    await ledger.grant("G", 100, every="day", rollover_max=50)
    await ledger.use(10)
    ledger.clock.advance(days=1)
    rolled = await ledger.balance()
    await ledger.use(rolled)
    short = await ledger.use(10)
    ledger.clock.advance(days=1)

    assert (rolled, short.shortfall, await ledger.balance()) == (150, 10_000_000, 100)


async def test_9b_rollover_has_a_floor(ledger: Ledger) -> None:
    await ledger.grant("G", 100, every="day", rollover_min=20, rollover_max=50)
    await ledger.use(95)
    ledger.clock.advance(days=1)

    assert await ledger.balance() == 120


async def test_14_priority_two_is_used_after_priority_one(ledger: Ledger) -> None:
    await ledger.grant("two", 50, priority=2)
    await ledger.grant("one", 30, priority=1)
    await ledger.use(60)

    assert await ledger.left() == {"one": 0, "two": 20}


async def test_16_expired_credits_are_posted_to_breakage(ledger: Ledger) -> None:
    await ledger.grant("G", 10, expires_at=START + timedelta(days=9))
    ledger.clock.advance(days=3)
    before = await ledger.balance()
    ledger.clock.advance(days=1)
    await ledger.use(4)
    used = await ledger.balance()
    ledger.clock.advance(days=5)

    assert (before, used, await ledger.balance()) == (10, 6, 0)
    assert await ledger.listed() == [-6, -4, 10]


async def test_17_earlier_grant_is_used_up_first(ledger: Ledger) -> None:
    await ledger.grant("later", 15, expires_at=START + timedelta(hours=15))
    await ledger.grant("sooner", 10, expires_at=START + timedelta(hours=10))
    await ledger.use(15)

    assert await ledger.left() == {"sooner": 0, "later": 10}


async def test_19_grant_key_makes_one_grant(ledger: Ledger) -> None:
    await ledger.grant("G", 100)
    await ledger.grant("G", 100)
    with pytest.raises(KeyConflictError):
        await ledger.grant("G", 200)

    assert await ledger.balance() == 100


async def test_19b_same_key_on_another_wallet_makes_a_second_grant(ledger: Ledger, another: Ledger) -> None:
    for wallet in (ledger, another):
        await wallet.grant("G", 100)
    await another.use(30)

    assert (await ledger.balance(), await another.balance()) == (100, 70)


async def test_40_free_grants_burn_before_paid_grants(ledger: Ledger) -> None:
    await ledger.grant("bought", 70, source=PURCHASE)
    ledger.clock.advance(seconds=1)
    await ledger.grant("bonus", 30, source=BONUS)
    await ledger.use(50)

    assert await ledger.left() == {"bonus": 0, "bought": 50}


async def test_41_priority_then_class_then_age(ledger: Ledger) -> None:
    for name, priority, source in [
        ("p1 bonus", 1, BONUS),
        ("p1 bought", 1, PURCHASE),
        ("p2 bonus old", 2, BONUS),
        ("p2 bonus new", 2, BONUS),
        ("p2 bought", 2, PURCHASE),
    ]:
        await ledger.grant(name, 10, priority=priority, source=source)
        ledger.clock.advance(seconds=1)
    await ledger.use(35)

    assert list((await ledger.left()).values()) == [0, 0, 0, 5, 10]


@pytest.mark.parametrize(("settled", "left"), [(5, 10), (11, 4)], ids=["20 less than held", "21 more than held"])
async def test_20_21_settlement_charges_what_was_used(ledger: Ledger, settled: int, left: int) -> None:
    await ledger.grant("G", 15)
    await ledger.hold("K", 8)
    held = await ledger.free()
    await ledger.settle("K", settled)

    assert (held, await ledger.free(), await ledger.balance()) == (7, left, left)


async def test_22_void_releases_the_whole_hold(ledger: Ledger) -> None:
    await ledger.grant("G", 15)
    await ledger.hold("K", 8)
    await ledger.void("K")
    await ledger.void("K")

    assert await ledger.free() == 15


async def test_23_void_releases_each_grant_by_its_part(ledger: Ledger) -> None:
    await ledger.grant("hourly", 5, every="hour")
    await ledger.grant("lifetime", 20)
    await ledger.hold("K", 8)
    await ledger.void("K")

    assert await ledger.left() == {"hourly": 5, "lifetime": 20}


async def test_24_expiry_releases_once(ledger: Ledger) -> None:
    await ledger.grant("G", 15)
    await ledger.use(3)
    await ledger.hold("K", 8, ttl=60)
    ledger.clock.advance(seconds=60)

    assert await asyncio.gather(ledger.free(), ledger.free()) == [12, 12]


async def test_24b_two_concurrent_expiries_release_once(database: Database) -> None:
    """Both find the hold due before either has the lock: the second one finds it expired."""
    ledger = DatabaseLedger(database)
    await ledger.grant("G", 15)
    await ledger.use(3)
    await ledger.hold("K", 8, ttl=60)
    ledger.clock.advance(seconds=60)
    async with database.transaction() as session:
        await database.rows(session, "select wallet_id from faregate.wallet for update")
        expiries = [asyncio.create_task(database.run(ledger.service.sweep)) for _ in range(2)]
        await until_waiting(database, 2)
    swept = await asyncio.gather(*expiries)

    assert swept == [1, 1]
    assert (await ledger.free(), await ledger.listed()) == (12, [-3, 15])


async def test_25_settled_hold_does_not_expire(ledger: Ledger) -> None:
    await ledger.grant("G", 15)
    await ledger.hold("K", 8, ttl=60)
    await ledger.settle("K", 4)
    ledger.clock.advance(hours=1)

    assert await ledger.free() == 11


async def test_26_late_settlement_is_charged_and_flagged(ledger: Ledger) -> None:
    await ledger.grant("G", 15)
    await ledger.hold("K", 8, ttl=60)
    ledger.clock.advance(hours=1)
    first = await ledger.settle("K", 4)
    second = await ledger.settle("K", 4)

    assert await ledger.free() == 11
    assert first.flags == Flag.LATE
    assert (second.charged, second.flags, second.free_after) == (first.charged, first.flags, first.free_after)


async def test_27_one_key_opens_one_hold(ledger: Ledger) -> None:
    await ledger.grant("G", 20)
    first = await ledger.hold("K", 5)
    again = await ledger.hold("K", 5)
    with pytest.raises(UsageKeyConflictError):
        await ledger.hold("K", 6)

    assert (again.hold, again.expires_at) == (first.hold, first.expires_at)
    assert await ledger.free() == 15


async def test_31_repeated_settlement_changes_nothing(ledger: Ledger) -> None:
    await ledger.grant("G", 10)
    await ledger.hold("K", "2.20")
    await ledger.settle("K", "0.55")
    await ledger.settle("K", "0.55")
    with pytest.raises(UsageKeyConflictError):
        await ledger.settle("K", "0.56")

    assert await ledger.free() == Decimal("9.45")


async def test_32_hold_needs_free_credits_and_a_settled_one_cannot_be_voided(ledger: Ledger) -> None:
    await ledger.grant("G", 100)
    await ledger.use(70)
    with pytest.raises(InsufficientCreditsError) as refused:
        await ledger.hold("big", 50)
    await ledger.hold("K", 30)
    for _ in range(2):
        await ledger.settle("K", 20)
    with pytest.raises(AlreadySettledError):
        await ledger.void("K")

    assert (refused.value.balance, refused.value.required) == (30, 50)
    assert await ledger.free() == 10


async def test_35_all_members_use_a_pool_until_it_is_empty(ledger: Ledger) -> None:
    for member in ("ann", "ben"):
        await ledger.grant(member, 500)
    await ledger.hold("ann 1", 300)
    await ledger.settle("ann 1", 300)
    after_first = await ledger.balance()
    await ledger.hold("others", 700)
    await ledger.settle("others", 700)
    with pytest.raises(InsufficientCreditsError):
        await ledger.hold("next", 1)

    assert (after_first, await ledger.balance()) == (700, 0)


async def test_36_member_at_the_hard_limit_is_refused_and_others_are_not(ledger: Ledger) -> None:
    ann, ben = member_scope(7, 1), member_scope(7, 2)
    await ledger.grant("pool", 1000)
    await ledger.set_hard_limit(ann, 100)
    await ledger.hold("ann 1", 100, scopes=(ann,))
    await ledger.settle("ann 1", 100)
    with pytest.raises(SpendingLimitError) as refused:
        await ledger.hold("ann 2", 1, scopes=(ann,))
    await ledger.hold("ben 1", 200, scopes=(ben,))

    assert (refused.value.code, refused.value.balance, refused.value.required) == ("member_limit", 0, 1)
    assert (await ledger.balance(), await ledger.free()) == (900, 700)


async def test_42_direct_use_is_charged_in_full_or_not_written(ledger: Ledger) -> None:
    await ledger.grant("G", 30)
    with pytest.raises(InsufficientCreditsError):
        await ledger.settle("K", 50, in_full=True)
    await ledger.settle("zero", 0, in_full=True)

    assert await ledger.balance() == 30
    assert (await ledger.settle("K", 30, in_full=True)).charged == 30_000_000


async def test_45_top_up_sent_twice_counts_once(ledger: Ledger) -> None:
    await ledger.grant("opening", 10)
    await ledger.grant("top-up", 100)
    await ledger.grant("top-up", 100)

    assert await ledger.balance() == 110


async def test_48_debit_sent_twice_counts_once(ledger: Ledger) -> None:
    await ledger.grant("G", 200)
    await ledger.settle("K", 50, in_full=True)
    await ledger.settle("K", 50, in_full=True)

    assert await ledger.balance() == 150


async def test_refused_start_is_not_stored_and_succeeds_after_a_top_up(ledger: Ledger) -> None:
    with pytest.raises(InsufficientCreditsError):
        await ledger.hold("K", 5)
    await ledger.grant("G", 5)

    assert (await ledger.hold("K", 5)).status is ChargeStatus.OPEN


async def test_what_an_open_hold_protects_expires_when_it_closes(ledger: Ledger) -> None:
    """150 credits, 50 of them expiring, 120 held: 30 expire at once, 20 when the hold is released."""
    await ledger.grant("lasting", 100)
    await ledger.grant("lapsing", 50, expires_at=START + timedelta(minutes=1))
    await ledger.hold("K", 120)
    ledger.clock.advance(minutes=2)
    protected = await ledger.left()
    await ledger.void("K")

    assert protected == {"lasting": 100, "lapsing": 20}
    assert await ledger.left() == {"lasting": 100, "lapsing": 0}


async def test_settlement_burns_first_what_its_hold_protected(ledger: Ledger) -> None:
    await ledger.grant("lasting", 100)
    await ledger.grant("lapsing", 50, expires_at=START + timedelta(minutes=1))
    await ledger.hold("K", 120)
    ledger.clock.advance(minutes=2)
    await ledger.settle("K", 15)

    assert await ledger.left() == {"lasting": 100, "lapsing": 0}
    assert await ledger.balance() == 100


async def test_extended_hold_expires_later(ledger: Ledger) -> None:
    await ledger.grant("G", 10)
    await ledger.hold("K", 8, ttl=60)
    ends = await ledger.extend("K", 600)
    shorter = await ledger.extend("K", 1)
    ledger.clock.advance(seconds=599)
    held = await ledger.free()
    ledger.clock.advance(seconds=1)

    assert ends == shorter == START + timedelta(seconds=600)
    assert (held, await ledger.free()) == (2, 10)


async def test_restricted_grant_is_used_only_by_its_features(ledger: Ledger) -> None:
    await ledger.grant("images only", 50, features=["images"])
    await ledger.grant("general", 10)
    with pytest.raises(InsufficientCreditsError):
        await ledger.hold("chat", 11, feature="chat")
    await ledger.hold("picture", 55, feature="images")
    left_for_chat = await ledger.free()
    await ledger.settle("picture", 52, feature="images")

    assert left_for_chat == 5
    assert await ledger.left() == {"images only": 0, "general": 8}


async def test_hold_on_general_credits_is_not_used_by_another_feature(ledger: Ledger) -> None:
    await ledger.grant("general", 100, priority=1)
    await ledger.grant("images only", 50, features=["images"], priority=50)
    await ledger.hold("chat", 60, feature="chat")
    charge = await ledger.use(90, feature="images")

    assert charge.shortfall == 0
    assert (await ledger.settle("chat", 60, feature="chat")).shortfall == 0
    assert await ledger.balance() == 0
