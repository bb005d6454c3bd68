"""A closed month stays as it is, its statements add up, and what arrives later is listed in the next one."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from faregate.core.db.database import Database
from faregate.core.errors import InvalidError, KeyConflictError
from faregate.credit.closing.values import Close
from faregate.credit.errors import NotClosableError, UnknownCloseError, UnknownGrantError, UnknownWalletError
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.states import TransferNote
from faregate.credit.proof.verify import Verifier
from support.ledger import START, DatabaseLedger

DAY = timedelta(days=1)
NOTE = TransferNote(actor="support", reason="it was wrong")


@pytest.fixture
def ledger(database: Database) -> DatabaseLedger:
    return DatabaseLedger(database)


async def grants_of(ledger: DatabaseLedger) -> Mapping[str, UUID]:
    return {str(grant.key): grant.grant_id for grant in (await ledger.state())[1]}


async def pay(ledger: DatabaseLedger, name: str, usd: str, **more: Any) -> Decimal:
    paid = await ledger.closes.record_payment(ledger.OWNER, (await grants_of(ledger))[name], Decimal(usd), **more)
    return paid.paid_usd


async def assert_verified(database: Database) -> None:
    for since_heads in (False, True):
        assert (await Verifier(database).verify(since_heads=since_heads)).drifts == ()


def money(close: Close) -> tuple[Decimal, ...]:
    value = close.statement.value
    return (
        value.deferred_opening,
        value.received,
        value.repaid,
        value.revenue,
        value.breakage,
        value.forfeited,
        value.deferred_closing,
    )


async def test_statement_and_paid_value_of_two_months(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100, expires_at=START + 40 * DAY)
    await ledger.grant("given", 10, source=GrantSource.BONUS)
    await pay(ledger, "bought", "9.99")
    await ledger.use(30)
    ledger.clock.advance(days=31)
    january = await ledger.closes.run("2026-01")
    ledger.clock.advance(days=28)
    february = await ledger.closes.run("2026-02")
    first, second = january.statement, february.statement

    assert (first.opening, first.granted, first.used, first.closing) == (0, {"bonus": 10, "purchase": 100}, 30, 80)
    assert (second.opening, second.granted, second.used, second.expired, second.closing) == (80, {}, 0, 70, 10)
    assert money(january) == tuple(map(Decimal, ("0", "9.99", "0", "3.00", "0", "0", "6.99")))
    assert money(february) == tuple(map(Decimal, ("6.99", "0", "0", "0", "6.99", "0", "0")))
    assert await ledger.closes.statement("2026-02", "owner") == (await ledger.closes.statements("2026-02"))[0][0]
    await assert_verified(ledger.database)


async def test_the_period_before_the_first_month_is_the_opening(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    await pay(ledger, "bought", "10")
    await ledger.use(30)
    ledger.clock.advance(days=70)
    await ledger.use(5)
    february = await ledger.closes.run("2026-02")
    closes = await ledger.closes.list()

    assert [close.period for close in closes] == ["opening", "2026-02"]
    assert (february.statement.opening, february.statement.used, february.statement.closing) == (70, 0, 70)
    assert (february.statement.value.deferred_opening, february.transfers) == (7, 0)
    assert (await ledger.closes.statement("opening", "owner")).used == 30
    assert (await ledger.closes.journal("opening"))[0].date == "2026-01-31"
    await assert_verified(ledger.database)


async def test_closing_again_gives_the_first_result_and_nothing_changes_it(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    await pay(ledger, "bought", "10")
    ledger.clock.advance(days=40)
    first = await ledger.closes.run("2026-01")
    await ledger.grant("late", 50, effective_at=START + 3 * DAY)
    await ledger.use(60)

    assert await ledger.closes.run("2026-01") == first == await ledger.closes.get("2026-01")


async def test_concurrent_closes_of_one_month_are_one(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    ledger.clock.advance(days=40)
    results = await asyncio.gather(*(ledger.closes.run("2026-01") for _ in range(4)))

    assert len({close.closed_at for close in results}) == 1
    assert [close.period for close in await ledger.closes.list()] == ["opening", "2026-01"]


async def test_late_facts_belong_to_the_next_month_and_are_listed_there(ledger: DatabaseLedger) -> None:
    """A grant and a payment with a date in the closed month, and a use that began in it."""
    await ledger.grant("bought", 100)
    ledger.clock.advance(days=30)
    await ledger.hold("slow", 10, ttl=86_400)
    ledger.clock.advance(days=1, hours=1)
    january = await ledger.closes.run("2026-01")
    await ledger.settle("slow", 4)
    ledger.clock.advance(days=1)
    other = DatabaseLedger(ledger.database)
    other.OWNER, other.clock = "other", ledger.clock
    other.service, other.closes = ledger.service, ledger.closes
    await other.grant("backdated", 50, effective_at=START + 3 * DAY)
    await pay(ledger, "bought", "10", paid_at=START + DAY)
    await pay(other, "backdated", "5")
    ledger.clock.advance(days=30)
    february = await ledger.closes.run("2026-02")
    late, position = await ledger.closes.late("2026-02")

    assert (january.transfers, january.late, february.transfers, february.late) == (1, 0, 2, 3)
    assert [(fact.kind, fact.owner_id, fact.credits, fact.usd) for fact in late] == [
        ("payment", "owner", None, 10),
        ("transfer", "owner", -4, None),
        ("transfer", "other", 50, None),
    ]
    assert [fact.happened_at for fact in late] == [START + DAY, START + 30 * DAY, START + 3 * DAY]
    assert position is None
    assert await paged_late(ledger, "2026-02") == late
    assert money(february) == tuple(map(Decimal, ("0", "15", "0", "0.40", "0", "0", "14.60")))
    await assert_verified(ledger.database)


async def paged_late(ledger: DatabaseLedger, period: str) -> list[Any]:
    found, position = await ledger.closes.late(period, limit=1)
    facts = list(found)
    while position is not None:
        found, position = await ledger.closes.late(period, after=position, limit=1)
        facts += found
    return facts


async def test_month_that_is_not_over_is_refused(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    with pytest.raises(NotClosableError, match="2026-01 is not over before 2026-02-01T00:00:00"):
        await ledger.closes.run("2026-01")


async def test_month_is_over_at_midnight_of_the_zone(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    ledger.clock.advance(days=30, hours=23)
    january = await ledger.closes.run("2026-01", timezone="Europe/Berlin")

    assert (january.until.isoformat(), january.timezone) == ("2026-01-31T23:00:00+00:00", "Europe/Berlin")
    with pytest.raises(NotClosableError, match=r"UTC differs from Europe/Berlin.*leave it out"):
        await ledger.closes.run("2026-02", timezone="UTC")


async def test_months_are_closed_in_order(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    ledger.clock.advance(days=200)
    await ledger.closes.run("2026-02")
    with pytest.raises(NotClosableError, match="close 2026-03 first, or set catch_up"):
        await ledger.closes.run("2026-05")
    with pytest.raises(NotClosableError, match=r"before the first closed month.*next one is 2026-03"):
        await ledger.closes.run("2026-01")
    await ledger.closes.run("2026-05", catch_up=True)

    assert [close.period for close in await ledger.closes.list()] == [
        "opening",
        *(f"2026-0{number}" for number in (2, 3, 4, 5)),
    ]
    assert await ledger.closes.next_period() == "2026-06"
    await assert_verified(ledger.database)


async def test_unknown_periods_and_wallets_are_named(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    ledger.clock.advance(days=40)
    await ledger.closes.run("2026-01")
    with pytest.raises(UnknownCloseError, match="'2026-02' is not closed"):
        await ledger.closes.get("2026-02")
    with pytest.raises(UnknownWalletError):
        await ledger.closes.statement("2026-01", "nobody")
    with pytest.raises(InvalidError, match="zone"):
        await ledger.closes.run("2026-01", timezone="Mars/Olympus")


async def test_wallet_that_did_not_move_keeps_its_balance_in_the_statement(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    await pay(ledger, "bought", "10")
    ledger.clock.advance(days=70)
    await ledger.closes.run("2026-01")
    await ledger.closes.run("2026-02")
    statement = await ledger.closes.statement("2026-02", "owner")

    assert (statement.opening, statement.closing, statement.used) == (100, 100, 0)
    assert (statement.value.deferred_opening, statement.value.deferred_closing, statement.value.received) == (10, 10, 0)


async def test_payments_are_recorded_once_for_each_key(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    assert await pay(ledger, "bought", "10") == 10
    assert await pay(ledger, "bought", "10") == 10
    assert await pay(ledger, "bought", "-4", key="returned") == 6
    assert await pay(ledger, "bought", "-4", key="returned") == 6
    with pytest.raises(KeyConflictError, match=r"payment of 10.00 USD.*negative amount with a key of its own"):
        await pay(ledger, "bought", "12")
    with pytest.raises(InvalidError, match=r"returns 1.00 USD more than was paid"):
        await pay(ledger, "bought", "-7", key="too much")


async def test_payment_for_what_cannot_be_paid_for_is_refused(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 10, expires_at=START + DAY)
    await ledger.use(4)
    ledger.clock.advance(days=2)
    (_, charge, *_) = await ledger.moved()
    await ledger.database.run(
        lambda session: ledger.corrections.refund(session, f"{charge.wallet_id}-{charge.seq}", amount=None, note=NOTE)
    )
    refund = next(grant for grant in (await ledger.state())[1] if grant.source is GrantSource.REFUND)
    with pytest.raises(UnknownGrantError):
        await ledger.closes.record_payment("owner", uuid4(), Decimal(1))
    with pytest.raises(UnknownWalletError):
        await ledger.closes.record_payment("nobody", uuid4(), Decimal(1))
    with pytest.raises(InvalidError, match="grant that a refund made"):
        await ledger.closes.record_payment("owner", refund.grant_id, Decimal(1))


async def test_payment_in_a_transaction_of_the_caller_goes_with_it(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    grant_id = (await grants_of(ledger))["bought"]
    with pytest.raises(ZeroDivisionError):
        async with ledger.database.transaction() as session:
            await ledger.closes.record_payment("owner", grant_id, Decimal(10), session=session)
            raise ZeroDivisionError

    assert not (await ledger.closes.record_payment("owner", grant_id, Decimal(11))).replayed


async def test_payment_after_the_use_is_earned_at_once_and_a_returned_one_is_taken_back(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    await ledger.use(50)
    ledger.clock.advance(days=40)
    january = await ledger.closes.run("2026-01")
    await pay(ledger, "bought", "10")
    ledger.clock.advance(days=30)
    february = await ledger.closes.run("2026-02")
    await pay(ledger, "bought", "-10", key="returned")
    ledger.clock.advance(days=30)
    march = await ledger.closes.run("2026-03")

    assert (january.unvalued, february.unvalued) == (100, 0)
    assert money(february) == (0, 10, 0, 5, 0, 0, 5)
    assert money(march) == (5, 0, 10, -5, 0, 0, 0)
    await assert_verified(ledger.database)


async def test_credits_that_repay_the_limit_are_earned_at_once(ledger: DatabaseLedger) -> None:
    """One purchase repays a part, and one goes entirely into the repayment: it has no slice."""
    await ledger.set_limit(30)
    await ledger.use(25)
    await ledger.grant("small", 10)
    await ledger.grant("large", 20)
    await pay(ledger, "small", "1")
    await pay(ledger, "large", "2")
    ledger.clock.advance(days=40)
    january = await ledger.closes.run("2026-01")

    assert (january.statement.granted, january.statement.used_on_limit) == ({"purchase": 30}, 25)
    assert (january.statement.closing, january.unvalued) == (5, 0)
    assert money(january) == tuple(map(Decimal, ("0", "3", "0", "2.50", "0", "0", "0.50")))
    await assert_verified(ledger.database)


async def test_refunds_voids_and_adjustments_have_their_columns(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    await ledger.grant("wrong", 40)
    await pay(ledger, "bought", "10")
    await pay(ledger, "wrong", "4")
    await ledger.use(20)
    charge = (await ledger.moved())[-1]
    await ledger.database.run(
        lambda session: ledger.corrections.refund(
            session, f"{charge.wallet_id}-{charge.seq}", amount=5_000_000, note=NOTE
        )
    )
    await ledger.void_grant("wrong")
    await ledger.database.run(lambda session: ledger.corrections.adjust(session, "owner", amount=3_000_000, note=NOTE))
    ledger.clock.advance(days=40)
    january = await ledger.closes.run("2026-01")
    found = january.statement

    assert (found.granted, found.used, found.refunded, found.voided, found.adjusted) == (
        {"purchase": 140},
        20,
        5,
        40,
        3,
    )
    assert found.closing == 140 - 20 + 5 - 40 + 3
    assert money(january) == tuple(map(Decimal, ("0", "14", "0", "1.50", "0", "4", "8.50")))
    await assert_verified(ledger.database)


@pytest.mark.parametrize("table", ["close", "close_wallet", "close_grant"])
@pytest.mark.parametrize("change", ["update faregate.{0} set number = number", "delete from faregate.{0}"])
async def test_the_database_refuses_to_change_a_closed_month(database: Database, table: str, change: str) -> None:
    connection = await database.connect()
    try:
        with pytest.raises(asyncpg.PostgresError, match="append-only"):
            await connection.execute(change.format(table))
    finally:
        await connection.close()


TAMPERINGS = [
    *(
        f"update faregate.close_wallet set {column} = {column} + 1 where number = 1"
        for column in (
            "first_seq",
            "last_seq",
            "opening",
            "used",
            "used_on_limit",
            "expired",
            "voided",
            "refunded",
            "adjusted",
            "charged_back",
            "shortfall",
            "closing",
        )
    ),
    "update faregate.close_wallet set granted = jsonb_set(granted, '{purchase}', '1') where number = 1",
    *(
        f"update faregate.close set {column} = {column} + 1 where number = 1"
        for column in (
            "wallets",
            "transfers",
            "opening",
            "used",
            "used_on_limit",
            "expired",
            "voided",
            "refunded",
            "adjusted",
            "charged_back",
            "shortfall",
            "closing",
            "received_cents",
            "repaid_cents",
            "revenue_cents",
            "breakage_cents",
            "forfeited_cents",
            "deferred_opening_cents",
            "deferred_closing_cents",
        )
    ),
    "update faregate.close set number = 7 where number = 2",
    "update faregate.close set granted = '{}' where number = 1",
    "update faregate.close set flows = '{}' where number = 1",
    "update faregate.close set since = since + interval '1 second' where number = 1",
    "update faregate.close set until = until - interval '40 days' where number = 1",
    *(
        f"update faregate.close_grant set {column} = {column} + 1 where number = 1"
        for column in (
            "granted",
            "used",
            "expired",
            "forfeited",
        )
    ),
    *(
        f"update faregate.close_grant set {column} = {column} + 1, deferred_cents = deferred_cents - 1 where number = 1"
        for column in ("revenue_cents", "breakage_cents", "forfeited_cents")
    ),
    "update faregate.close_grant set paid_cents = paid_cents + 1, deferred_cents = deferred_cents + 1 where number = 1",
    "update faregate.grant_payment set cents = cents + 1",
    "update faregate.grant_payment set number = 2",
    "delete from faregate.grant_payment",
    "delete from faregate.close_wallet where number = 1",
    "delete from faregate.close_grant where number = 1",
    "delete from faregate.close where number = 1",
]


async def test_verify_finds_every_change_of_a_closed_month(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100)
    await pay(ledger, "bought", "10")
    await ledger.use(30)
    ledger.clock.advance(days=70)
    await ledger.closes.run("2026-01")
    await ledger.use(20)
    await ledger.closes.run("2026-02")
    verifier, missed = Verifier(ledger.database), list[str]()
    async with ledger.database.transaction() as session:
        await ledger.database.rows(session, "select set_config('session_replication_role', 'replica', true)")
        driver = await ledger.database.driver(session)
        for sql in TAMPERINGS:
            savepoint = driver.transaction()
            await savepoint.start()
            assert not (await driver.execute(sql)).endswith(" 0"), sql
            if not await verifier.drifts(session):
                missed.append(sql)
            await savepoint.rollback()

    assert missed == []
