"""Statements that add up, balances at a moment, and lists that are exact while rows are added."""

import asyncio
import time
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.burn_down import burn
from faregate.credit.ledger.grants import GrantSpec
from faregate.credit.ledger.states import GrantState
from faregate.credit.services.accounting import AccountStatement
from support.ledger import START, DatabaseLedger, make_credit, micros

DAY = timedelta(days=1)


@pytest.fixture
def ledger(database: Database) -> DatabaseLedger:
    return DatabaseLedger(database)


async def make_statement(
    ledger: DatabaseLedger, since: datetime, until: datetime, *, everyone: bool = False
) -> AccountStatement:
    async def work(session: AsyncSession) -> AccountStatement:
        owner = None if everyone else (await ledger.service.get_owner(session, ledger.OWNER)).subject_id
        return await ledger.accounting.statement(session, owner, since=since, until=until)

    return await ledger.database.run(work)


async def balance_at(ledger: DatabaseLedger, moment: datetime) -> Decimal:
    async def work(session: AsyncSession) -> Decimal:
        owner = (await ledger.service.get_owner(session, ledger.OWNER)).subject_id
        return await ledger.accounting.balance_at(session, owner, moment)

    return (await ledger.database.run(work)).normalize()


async def test_each_days_closing_balance_is_the_next_days_opening_balance(ledger: DatabaseLedger) -> None:
    await ledger.grant("bought", 100, expires_at=START + 2 * DAY)
    await ledger.grant("given", 10, source=GrantSource.BONUS)
    await ledger.use(30)
    ledger.clock.advance(days=1)
    await ledger.use(20)
    ledger.clock.advance(days=1)
    await ledger.state()
    ledger.clock.advance(days=1)
    days = [await make_statement(ledger, START + n * DAY, START + (n + 1) * DAY) for n in range(3)]

    assert [(day.opening, day.used, day.expired, day.closing) for day in days] == [
        (0, 30, 0, 80),
        (80, 20, 0, 60),
        (60, 0, 50, 10),
    ]
    assert days[0].granted == {"purchase": 100, "promotion": 10}
    assert [(day.deferred_closing, day.breakage_paid) for day in days] == [(70, 0), (50, 0), (0, 50)]
    assert await make_statement(ledger, START, START + 3 * DAY, everyone=True) == await make_statement(
        ledger, START, START + 3 * DAY
    )


async def test_balance_at_a_moment_is_the_balance_just_before_it(ledger: DatabaseLedger) -> None:
    """Scenario 16: 10 granted at T1, expiring at T10; 4 used at T5."""
    ledger.clock.advance(hours=1)
    await ledger.grant("G", 10, expires_at=START + timedelta(hours=10))
    ledger.clock.advance(hours=4)
    await ledger.use(4)
    ledger.clock.advance(hours=7)
    moments = (1, 4, 5, 6, 10, 11)
    seen = [await balance_at(ledger, START + timedelta(hours=n)) for n in moments]

    assert seen == [0, 10, 10, 6, 6, 0]


async def test_period_that_ends_before_it_begins_is_refused(ledger: DatabaseLedger) -> None:
    await ledger.grant("G", 10)
    with pytest.raises(InvalidError, match="until must be later"):
        await make_statement(ledger, START, START)


async def test_list_read_page_by_page_is_exact_while_rows_are_added(ledger: DatabaseLedger) -> None:
    await ledger.grant("G", 1000)
    for _ in range(10):
        await ledger.use(1)
    seen: list[str] = []
    before: int | None = None
    while True:
        position = before
        page = await ledger.database.run(
            lambda session, position=position: ledger.service.transactions(  # type: ignore[misc]
                session, ledger.OWNER, before=position, limit=3
            )
        )
        if not page:
            break
        seen += [transaction.id for transaction in page]
        before = int(page[-1].id.rpartition("-")[2])
        await ledger.use(1)
    numbers = [int(name.rpartition("-")[2]) for name in seen]

    assert numbers == list(range(11, 0, -1))


async def test_3_of_100000_grants_the_first_to_expire_is_used_and_fast() -> None:
    grants = [
        GrantState(
            UUID(int=(n * 7919) % 100_003),
            1,
            GrantSource.PURCHASE,
            50,
            micros(100),
            START,
            START,
            expires_at=START + (29 if n == 61_803 else 30) * DAY,
            remaining=micros(100),
            active=True,
        )
        for n in range(100_000)
    ]
    began = time.perf_counter()
    slices, uncovered = burn(grants, micros(99), now=START)
    took = time.perf_counter() - began

    assert [(grant is grants[61_803], amount) for grant, amount in slices] == [(True, -micros(99))]
    assert (uncovered, took < 10) == (0, True)


async def test_settlement_does_not_read_all_of_very_many_grants(database: Database) -> None:
    """Scenario 3 through the database: with 20,000 grants, a use still reads and writes only one."""
    ledger = DatabaseLedger(database)
    await ledger.grant("first", 100, expires_at=START + 29 * DAY)
    async with database.transaction() as session:
        await database.rows(
            session,
            """
            insert into faregate.credit_grant (grant_id, wallet_id, source, priority, amount, remaining, held,
              effective_at, expires_at, active, voided, rollover_min, rollover_max, created_at, burn_class)
            select gen_random_uuid(), w.wallet_id, 'purchase', 50, 100000000, 100000000, 0,
              :start, cast(:start as timestamptz) + interval '30 days', true, false, 0, 0, :start, 1
            from faregate.wallet w cross join generate_series(1, 20000)
            """,
            start=START,
        )
        await database.rows(session, "update faregate.wallet set credits = credits + 20000 * cast(100000000 as bigint)")
    began = time.perf_counter()
    charge = await ledger.use(99)
    took = time.perf_counter() - began

    assert (charge.charged, took < 1) == (micros(99), True)
    assert (await ledger.left())["first"] == 1


async def test_initial_grant_is_added_once_under_concurrent_first_uses(database: Database) -> None:
    credit = make_credit(database, initial_micros=micros(25))

    async def see() -> None:
        await database.run(lambda session: credit.service.ensure_wallets(session, ["ada", "bela"]))

    await asyncio.gather(*(see() for _ in range(20)))
    wallets = await database.run(credit.service.wallets)

    assert [(wallet.owner_id, wallet.balance) for wallet in wallets] == [("ada", 25), ("bela", 25)]


async def test_33_one_of_five_concurrent_holds_of_500_on_600_credits_is_opened(database: Database) -> None:
    ledger = DatabaseLedger(database)
    await ledger.grant("G", 600)
    outcomes = await asyncio.gather(*(ledger.hold(f"k{n}", 500) for n in range(5)), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ChargeState"] + ["InsufficientCreditsError"] * 4
    assert await ledger.free() == 100


async def test_concurrent_grants_to_one_wallet_are_all_added(database: Database) -> None:
    credit = make_credit(database)
    spec = GrantSpec(micros(10), GrantSource.PURCHASE, key="order-7")
    results = await asyncio.gather(
        *(database.run(lambda session: credit.service.grant(session, "ada", spec)) for _ in range(8))
    )

    assert sorted(replayed for _, _, replayed in results) == [False] + [True] * 7
    assert {wallet.balance for _, wallet, _ in results} == {Decimal(10)}
