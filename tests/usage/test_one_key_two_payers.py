"""One usage key, sent for two people at the same time: one of them has used it, the other is told; no wallet drifts."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from faregate.credit.errors import HoldMismatchError, UsageKeyConflictError
from faregate.credit.holds import HoldRequest
from faregate.credit.verify import Verifier
from faregate.usage.values import Feature, FeatureRef, ModelUsage, SettleRequest, StartRequest
from support.library import Library

CHAT = FeatureRef(value="chat")
LINE = ModelUsage("gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 100})
PRICE = Decimal("0.42")


@pytest.fixture
async def two(library: Library) -> Library:
    await library.feature(Feature("chat", "token_priced", min_credits=Decimal(1)))
    await library.grant("ada", 100)
    await library.grant("bela", 100)
    return library


async def _hold(library: Library, session: Any, usage_key: str) -> None:
    """Start a use of ada's in a transaction that stays open."""
    ada = (await library.credit.service().find_owners(session, ["ada"]))["ada"].subject_id
    request = HoldRequest(usage_key, ada, ada, None, "chat", "individual", 7_000_000, 60, b"\0" * 32)
    (held,) = await library.credit.service().authorize(session, [request])
    assert not isinstance(held, Exception)


async def _meanwhile(library: Library, first: Callable[[Any], Awaitable[Any]], second: Awaitable[Any]) -> Any:
    """Do `first` in a transaction, and commit it when `second` waits for it; return what became of `second`."""
    async with library.database.transaction() as session:
        await first(session)
        other = asyncio.ensure_future(second)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if await _waits(library):
                break
        assert not other.done()
    return (await asyncio.gather(other, return_exceptions=True))[0]


async def _waits(library: Library) -> bool:
    async with library.database.transaction(read_only=True) as session:
        sql = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        return bool(await library.database.rows(session, sql))


async def _balance(library: Library, owner: str) -> tuple[Decimal, Decimal]:
    wallet = (await library.usage.wallets().get(owner))[0]
    return wallet.balance, wallet.held


async def _nothing_drifts(library: Library) -> None:
    assert not (await Verifier(library.database).verify()).drifts


async def test_two_starts(two: Library) -> None:
    second = two.service.authorize(StartRequest("bela", CHAT, "k", estimated_credits=Decimal(3)))
    outcome = await _meanwhile(two, lambda session: _hold(two, session, "k"), second)

    assert isinstance(outcome, UsageKeyConflictError)
    assert (await _balance(two, "ada"), await _balance(two, "bela")) == ((100, 7), (100, 0))
    await _nothing_drifts(two)


async def test_two_settlements_of_what_was_never_started(two: Library) -> None:
    second = two.service.settle(SettleRequest("k", "bela", CHAT, (LINE,)))
    outcome = await _meanwhile(
        two,
        lambda session: two.service.record_usage("chat", "ada", usage_key="k", usages=(LINE,), session=session),
        second,
    )

    assert isinstance(outcome, HoldMismatchError)
    assert (await _balance(two, "ada"), await _balance(two, "bela")) == ((100 - PRICE, 0), (100, 0))
    await _nothing_drifts(two)


async def test_a_start_and_a_settlement(two: Library) -> None:
    second = two.service.settle(SettleRequest("k", "bela", CHAT, (LINE,)))
    outcome = await _meanwhile(two, lambda session: _hold(two, session, "k"), second)

    assert isinstance(outcome, HoldMismatchError)
    assert (await _balance(two, "ada"), await _balance(two, "bela")) == ((100, 7), (100, 0))
    await _nothing_drifts(two)


async def test_the_neighbours_of_such_a_settlement_are_settled(two: Library) -> None:
    requests = [SettleRequest(key, "bela", CHAT, (LINE,)) for key in ("before", "k", "behind")]
    outcome = await _meanwhile(two, lambda session: _hold(two, session, "k"), two.service.settle_batch(requests))

    assert [type(each).__name__ for each in outcome] == ["Settled", "HoldMismatchError", "Settled"]
    assert (await _balance(two, "bela")) == (100 - 2 * PRICE, 0)
    await _nothing_drifts(two)
