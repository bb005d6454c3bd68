"""Database round trips of a start and a settlement: few, shared by concurrent calls, up to date in every process."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from faregate.core.db.database import Database
from faregate.usage.accounts.wallets import WalletChange
from faregate.usage.errors import FeatureInactiveError
from faregate.usage.features.documents import PriceDocument
from faregate.usage.features.plans import Plan
from faregate.usage.values import Feature, FeatureRef, ModelUsage, Settled, SettleRequest, StartRequest
from support.library import Library
from support.recording import recorded_library

CHAT = FeatureRef(value="chat")
LINE = ModelUsage("gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 100})


def _chat(**more: object) -> Feature:
    return Feature("chat", "token_priced", min_credits=Decimal(1), **more)  # type: ignore[arg-type]


async def _start(library: Library, key: str, user: str = "ada") -> None:
    await library.service.authorize(StartRequest(user, CHAT, key, estimated_credits=Decimal("0.1")))


async def _settle(library: Library, key: str, user: str = "ada") -> Decimal:
    return (await library.service.settle(SettleRequest(key, user, CHAT, (LINE,)))).charged


async def test_a_start_takes_four_statements_and_a_settlement_seven(database_url: str) -> None:
    """Each statement is a round trip. Cached data is not read again, and no NOTIFY is sent in the transaction.

    The smallest number over several uses counts, because a cache is revalidated now and then.
    """
    starting, settling = list[list[str]](), list[list[str]]()
    async with recorded_library(database_url) as (library, database):
        await library.feature(_chat())
        await library.grant("ada", 100)
        for number in range(6):
            database.forget()
            await _start(library, f"use-{number}")
            starting.append(list(database.statements))
            database.forget()
            await _settle(library, f"use-{number}")
            settling.append(list(database.statements))

    assert min(map(len, starting)) <= 4, min(starting, key=len)
    assert min(map(len, settling)) <= 7, min(settling, key=len)
    assert not [sql for each in starting + settling for sql in each if "notify" in sql.lower()]


async def test_a_warm_worker_settles_the_first_use_as_fast_as_later_ones(database_url: str) -> None:
    """`warm_up` has read rules and prices, and has written nothing."""
    async with recorded_library(database_url) as (library, database):
        await library.feature(_chat())
        await library.grant("ada", 100)
        await _start(library, "first")
        before = await _table_sizes(database)
        await library.service.warm_up()
        assert await _table_sizes(database) == before
        database.forget()
        await _settle(library, "first")

    read = [
        sql for sql in database.statements if "from faregate.version" not in sql
    ]  # a cache is revalidated now and then
    assert len(read) <= 7, read


async def _table_sizes(database: Database) -> list[int]:
    tables = (
        "charge",
        "wallet",
        "transfer",
        "grant_slice",
        "credit_grant",
        "usage_line",
        "usage_event",
        "usage_event_key",
    )
    async with database.transaction(read_only=True) as session:
        return [(await database.rows(session, f"select count(*) as n from faregate.{table}"))[0].n for table in tables]


async def test_concurrent_calls_on_one_wallet_share_one_transaction_at_a_time(
    database_url: str,
) -> None:
    """At most one start and one settlement transaction of a process wait for a hot wallet; a pool of many users has two each."""
    async with recorded_library(database_url) as (library, database):
        await library.feature(_chat())
        await library.grant("ada", 1000)
        await _start(library, "warm")
        database.forget()

        async def pair(number: int) -> None:
            await _start(library, f"use-{number}")
            await _settle(library, f"use-{number}")

        await asyncio.gather(*(pair(number) for number in range(300)))
        at_once, statements = database.at_once_most, len(database.statements)

    assert at_once <= 2
    assert statements < 300, "concurrent calls share transactions"


async def test_copied_batch_writes_the_same_as_single_settlements(database_url: str) -> None:
    """Started and unstarted uses, one of them twice in the batch and one already settled; then the ledger is verified."""
    async with recorded_library(database_url) as (library, database):
        await library.feature(_chat())
        for user in ("alone", "together"):
            await library.grant(user, 1000)
            for number in range(25):
                await _start(library, f"{user}-{number}", user)
        requests = [SettleRequest(f"together-{n}", "together", CHAT, (LINE,)) for n in (*range(30), 7)]
        for number in range(30):
            await _settle(library, f"alone-{number}", "alone")
        await library.service.settle(requests[3])
        settled = await library.service.settle_batch(requests)
        written = [await _written(database, user) for user in ("alone", "together")]
        proof = await library.credit.verifier().verify()

    assert [item.replayed for item in settled if isinstance(item, Settled)] == [n in {3, 30} for n in range(31)]
    assert sorted(written[0]) == sorted(written[1])
    assert len(written[0]) == 30 * (1 + 1 + 1 + 2)
    assert proof.drifts == ()


async def _written(database: Database, user: str) -> list[tuple[object, ...]]:
    """Return what settlements have written for a user, without ids and times that differ between uses."""
    sql = """
    with c as (select * from faregate.charge join faregate.subject s using (subject_id) where s.external_id = :user)
    select 'transfer', t.kind, t.debit_account, t.credit_account, t.amount, t.actor, null from faregate.transfer t
      join c using (usage_key)
    union all
    select 'slice', 0, 0, 0, g.amount, null, null from c join faregate.transfer t using (usage_key)
      join faregate.grant_slice g on g.wallet_id = t.wallet_id and g.seq = t.seq
    union all
    select 'line', l.line_no, 0, 0, l.credits, l.model, l.tokens::text from c join faregate.usage_line l using (usage_key)
    union all
    select 'event', e.kind, e.requests, e.calls, e.credits, e.model, e.source from c join faregate.usage_event e using (usage_key)
    """
    async with database.transaction(read_only=True) as session:
        return [tuple(map(str, row)) for row in await database.rows(session, sql, user=user)]


@pytest.mark.parametrize("what", ["feature", "price", "plan"])
async def test_a_change_counts_in_another_process_within_a_second(database_url: str, what: str) -> None:
    async with recorded_library(database_url) as (here, _), recorded_library(database_url) as (there, _):
        await here.feature(_chat())
        await here.grant("ada", 1000)
        await here.usage.wallets().change("ada", WalletChange({"plan": "pro"}))
        await _start(there, "before")
        before = await _settle(there, "before")
        changed: dict[str, Callable[[], Awaitable[object]]] = {
            "feature": lambda: here.feature(_chat(active=False)),
            "price": lambda: here.usage.price_service().set("gpt-4o", _price(), actor="ops"),
            "plan": lambda: here.usage.catalog().save_plan(Plan("pro", margin_percent=Decimal(0))),
        }
        await changed[what]()
        began, number = time.monotonic(), 0
        while not await _noticed(there, what, f"after-{number}", before):
            assert time.monotonic() - began < 1
            number += 1
            await asyncio.sleep(0.02)


def _price() -> PriceDocument:
    return PriceDocument(prices={"input_mtok": Decimal(1)}, effective_from=datetime(2026, 1, 1, tzinfo=UTC))


async def _noticed(library: Library, what: str, key: str, before: Decimal) -> bool:
    try:
        await _start(library, key)
    except FeatureInactiveError:
        return what == "feature"
    return await _settle(library, key) != before
