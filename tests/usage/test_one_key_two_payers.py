"""One usage key sent for two users at once: one use, one conflict."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faregate.core.settings import Settings, load_settings
from faregate.credit.errors import HoldMismatchError, UsageKeyConflictError
from faregate.credit.ledger.holds import HoldRequest
from faregate.credit.proof.verify import Verifier
from faregate.usage.values import (
    ChargingPolicy,
    Feature,
    FeatureRef,
    ModelUsage,
    Settled,
    SettleRequest,
    StartRequest,
)
from faregate.wire.ids import new_uuid7
from support.library import Library
from support.locks import waiting

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
    """Run `first` in a transaction, and commit it when `second` waits for it; return the result of `second`."""
    async with library.database.transaction() as session:
        await first(session)
        other = asyncio.ensure_future(second)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if await waiting(library.database):
                break
        assert not other.done()
    return (await asyncio.gather(other, return_exceptions=True))[0]


async def _balance(library: Library, owner: str) -> tuple[Decimal, Decimal]:
    wallet = (await library.usage.wallets().get(owner))[0]
    return wallet.balance, wallet.held


async def _ledger_verifies(library: Library) -> None:
    assert not (await Verifier(library.database).verify()).drifts


async def test_two_starts(two: Library) -> None:
    second = two.service.authorize(StartRequest("bela", CHAT, "k", estimated_credits=Decimal(3)))
    outcome = await _meanwhile(two, lambda session: _hold(two, session, "k"), second)

    assert isinstance(outcome, UsageKeyConflictError)
    assert (await _balance(two, "ada"), await _balance(two, "bela")) == ((100, 7), (100, 0))
    await _ledger_verifies(two)


async def test_two_settlements_without_a_start(two: Library) -> None:
    second = two.service.settle(SettleRequest("k", "bela", CHAT, (LINE,)))
    outcome = await _meanwhile(
        two,
        lambda session: two.service.record_usage("chat", "ada", usage_key="k", usages=(LINE,), session=session),
        second,
    )

    assert isinstance(outcome, HoldMismatchError)
    assert (await _balance(two, "ada"), await _balance(two, "bela")) == ((100 - PRICE, 0), (100, 0))
    await _ledger_verifies(two)


async def test_a_start_and_a_settlement(two: Library) -> None:
    second = two.service.settle(SettleRequest("k", "bela", CHAT, (LINE,)))
    outcome = await _meanwhile(two, lambda session: _hold(two, session, "k"), second)

    assert isinstance(outcome, HoldMismatchError)
    assert (await _balance(two, "ada"), await _balance(two, "bela")) == ((100, 7), (100, 0))
    await _ledger_verifies(two)


async def test_other_items_of_the_batch_are_settled(two: Library) -> None:
    requests = [SettleRequest(key, "bela", CHAT, (LINE,)) for key in ("before", "k", "behind")]
    outcome = await _meanwhile(two, lambda session: _hold(two, session, "k"), two.service.settle_batch(requests))

    assert [type(each).__name__ for each in outcome] == ["Settled", "HoldMismatchError", "Settled"]
    assert (await _balance(two, "bela")) == (100 - 2 * PRICE, 0)
    await _ledger_verifies(two)


async def test_two_users_in_one_batch(two: Library) -> None:
    """The first of them has used the key and pays; the second is a conflict and pays nothing."""
    outcomes = await two.service.settle_batch([SettleRequest("k", who, CHAT, (LINE,)) for who in ("ada", "bela")])

    assert [type(outcome).__name__ for outcome in outcomes] == ["Settled", "UsageKeyConflictError"]
    assert isinstance(outcomes[0], Settled)
    assert (outcomes[0].user_id, outcomes[0].charged) == ("ada", PRICE)
    assert (await two.service.story("k")).user_id == "ada"
    assert (await two.balance("ada"), await two.balance("bela")) == (100 - PRICE, 100)
    await _ledger_verifies(two)


async def test_two_starts_in_one_batch(two: Library) -> None:
    starts = [StartRequest(who, CHAT, "k", estimated_credits=Decimal(3)) for who in ("ada", "bela")]
    outcomes = await asyncio.gather(*map(two.service.authorize, starts), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Accessible", "UsageKeyConflictError"]
    holds = [(await _balance(two, who))[1] for who in ("ada", "bela")]
    assert sorted(holds) == [0, 3]
    await _ledger_verifies(two)


class TestTrusted:
    """Callers vouch for memberships, so that one user may be named with two organisations."""

    @pytest.fixture
    def settings(self, database_url: str) -> Settings:
        return load_settings(database_url=database_url, organization_claim="trusted")

    @pytest.mark.parametrize("together", [True, False])
    async def test_two_organisations_of_one_user(self, two: Library, together: bool) -> None:
        """In one batch or one after the other, the named organisation decides who pays: the second is a conflict."""
        for organization in ("first", "second"):
            await two.usage.organizations().change(organization, policy=ChargingPolicy.POOLED)
            await two.grant(f"org:{organization}", 100)
        requests = [SettleRequest("k", "ada", CHAT, (LINE,), organization_id=name) for name in ("first", "second")]
        if together:
            outcomes = await two.service.settle_batch(requests)
        else:
            outcomes = [outcome for request in requests for outcome in await two.service.settle_batch([request])]

        assert [type(outcome).__name__ for outcome in outcomes] == ["Settled", "UsageKeyConflictError"]
        assert [await two.balance(f"org:{name}") for name in ("first", "second")] == [100 - PRICE, 100]
        again = await two.service.settle(requests[0])
        assert (again.replayed, again.charged) == (True, PRICE)
        await _ledger_verifies(two)


@given(
    st.lists(
        st.tuples(st.sampled_from("kl"), st.sampled_from(["ada", "bela", "nobody"]), st.sampled_from([1, 2])),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_batch_answers_like_single_requests(two: Library, asked: list[tuple[str, str, int]]) -> None:
    """Every request gets a result, and who is charged how much and who is refused does not depend on the batch."""
    run = str(new_uuid7())

    def requests(mark: str) -> list[SettleRequest]:
        return [
            SettleRequest(f"{run}-{mark}-{key}", who, CHAT, (replace(LINE, tokens={"input_tokens": 1000 * size}),))
            for key, who, size in asked
        ]

    together = await two.service.settle_batch(requests("batch"))
    one_by_one = [outcome for request in requests("single") for outcome in await two.service.settle_batch([request])]

    def told(outcomes: Sequence[Settled | Exception]) -> list[object]:
        return [
            (each.user_id, each.consumed, each.lines, each.replayed) if isinstance(each, Settled) else "refused"
            for each in outcomes
        ]

    assert told(together) == told(one_by_one)
    await _ledger_verifies(two)


async def test_all_answers_to_one_key_are_the_same(two: Library) -> None:
    """Twenty concurrent calls with one key and two lines: each returns the same lines, balance and flags."""
    request = SettleRequest("k", "ada", CHAT, (LINE, replace(LINE, model="gpt-4o-mini")))
    answers = await asyncio.gather(*(two.service.settle(request) for _ in range(20)))
    batch = await two.service.settle_batch([request] * 20)

    said = [_said(answer) for answer in (*answers, *batch)]
    assert len(said[0].lines) == 2
    assert said == [said[0]] * 40
    assert sum(not answer.replayed for answer in answers) == 1


def _said(answer: Settled | Exception) -> Settled:
    """Return an answer in comparable form: the provider of a line is the one whose price was used."""
    assert isinstance(answer, Settled)
    lines = (replace(line, usage=replace(line.usage, provider=line.provider)) for line in answer.lines)
    return replace(answer, replayed=True, lines=tuple(lines))
