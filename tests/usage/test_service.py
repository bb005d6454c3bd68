"""The library in a host: one call, the host's transaction, the host's strategies."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from faregate.core.errors import EngineUnavailableError, InvalidError
from faregate.credit.errors import InsufficientCreditsError, UsageKeyConflictError
from faregate.credit.ledger.states import ChargeStatus, Flag
from faregate.credit.services.ledger_session import LedgerSession
from faregate.usage.errors import StrategyRegistryError, UnknownFeatureError
from faregate.usage.features.catalog import FeatureCatalog
from faregate.usage.interfaces import IFeatureStrategy
from faregate.usage.strategies.registry import FeatureFactory
from faregate.usage.values import (
    ChargingPolicy,
    Feature,
    FeatureKey,
    FeatureRef,
    ModelUsage,
    Price,
    Settled,
    SettleRequest,
    StartRequest,
    Use,
)
from support.library import Library

PAPER = FeatureKey.GENERATE_QUESTION_PAPER


class PerPage:
    """A host's strategy: a number of credits per page."""

    def check(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return parameters

    def estimate(self, use: Use) -> Price:
        return self.price(use)

    def price(self, use: Use) -> Price:
        if use.metadata.get("pages") == "broken":
            raise RuntimeError("a defect in the host's strategy")
        return Price(Decimal(use.metadata.get("pages", 1)) * 2)


@pytest.fixture
def extra_strategies() -> dict[str, IFeatureStrategy]:
    return {"translate": PerPage()}


async def test_one_call_records_and_charges_a_use(library: Library) -> None:
    await library.grant("ada", 20)

    usage = await library.service.record_usage(PAPER, "ada", metadata={"subject": "physics"})

    assert (usage.user_id, usage.feature_key, usage.organization_id) == ("ada", "GENERATE_QUESTION_PAPER", None)
    assert (usage.credits_consumed, usage.credits_charged, usage.metadata) == (5, 5, {"subject": "physics"})
    assert await library.balance("ada") == 15


async def test_a_feature_that_another_process_has_just_defined_is_known(library: Library) -> None:
    """A settlement without a start would else be a dead letter, although its feature exists."""
    catalog = library.usage.catalog()
    await catalog.current()
    await library.grant("ada", 5)
    elsewhere = FeatureCatalog(library.database, catalog._factory, catalog._repository)
    chat, lines = FeatureRef(value="chat"), (ModelUsage(model="gpt-4o", tokens={"input_tokens": 1000}),)
    assert not (await catalog.current()).knows(chat)
    await elsewhere.save(Feature("chat", "token_priced"))
    (settled,) = await library.service.settle_batch([SettleRequest("k", "ada", chat, lines)])
    await elsewhere.save(Feature("essay", "token_priced"))
    started = await library.service.authorize(StartRequest("ada", FeatureRef(value="essay")))

    assert isinstance(settled, Settled)
    assert started.feature_key == "essay"
    with pytest.raises(UnknownFeatureError, match="No feature 'poem'"):
        await library.service.authorize(StartRequest("ada", FeatureRef(value="poem")))


async def test_host_strategy_is_available_as_a_feature(library: Library) -> None:
    await library.grant("ada", 20)
    usage = await library.service.record_usage("translate", "ada", metadata={"pages": 3})
    catalog = await library.usage.catalog().current()

    assert usage.credits_charged == 6
    assert sorted(catalog.features) == ["GENERATE_QUESTION_PAPER", "translate"]


async def test_operators_definition_overrides_that_of_the_code(library: Library) -> None:
    await library.grant("ada", 20)
    await library.feature(Feature(PAPER, "fixed", parameters={"credits": Decimal("7.5")}))
    usage = await library.service.record_usage(PAPER, "ada")
    await library.usage.catalog().delete(PAPER)
    again = await library.service.record_usage(PAPER, "ada")

    assert (usage.credits_charged, again.credits_charged) == (Decimal("7.5"), 5)


async def test_rollback_of_the_hosts_transaction_leaves_nothing(library: Library) -> None:
    await library.grant("ada", 20)
    with pytest.raises(RuntimeError):
        async with library.database.transaction() as session:
            await session.execute(text("create table host_order (id int)"))
            await library.service.record_usage(PAPER, "ada", usage_key="K", session=session)
            await library.usage.members().join(session, "newcomer", "acme")
            await library.service.record_usage(PAPER, "newcomer", organization_id="acme", session=session)
            raise RuntimeError

    assert await library.balance("ada") == 20
    async with library.database.transaction() as session:
        for table in ("charge", "usage_line", "usage_event", "message"):
            assert await library.database.rows(session, f"select 1 from faregate.{table}") == []
        assert await library.database.rows(session, "select 1 from faregate.subject where external_id <> 'ada'") == []


async def test_commit_of_the_hosts_transaction_keeps_both(library: Library) -> None:
    await library.grant("ada", 20)
    async with library.database.transaction() as session:
        await session.execute(text("create table host_order (id int)"))
        await library.service.record_usage(PAPER, "ada", session=session)

    assert await library.balance("ada") == 15


async def test_hosts_transaction_can_continue_after_a_refusal(library: Library) -> None:
    async with library.database.transaction() as session:
        await session.execute(text("create table host_order (id int)"))
        with pytest.raises(InsufficientCreditsError):
            await library.service.record_usage(PAPER, "ada", session=session)

    async with library.database.transaction() as session:
        assert (await session.execute(text("select to_regclass('host_order')"))).scalar() is not None


async def test_many_concurrent_uses_are_charged_exactly(library: Library) -> None:
    await library.grant("ada", 52)
    outcomes = await asyncio.gather(
        *(library.service.record_usage(PAPER, "ada") for _ in range(16)), return_exceptions=True
    )

    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 10
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, Exception)} == {InsufficientCreditsError}
    assert await library.balance("ada") == 2


async def test_batch_settles_each_item_independently(library: Library) -> None:
    await library.grant("ada", 100)
    await library.feature(Feature("chat", "token_priced"))
    line = (ModelUsage("gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 100}),)
    requests = [
        SettleRequest("one", "ada", FeatureRef(value="chat"), line),
        SettleRequest("two", "ada", FeatureRef(value="unheard-of"), line),
        SettleRequest("three", "ada", FeatureRef(value="translate"), metadata={"pages": "broken"}),
        SettleRequest("one", "ada", FeatureRef(value="chat"), line),
        SettleRequest("one", "ada", FeatureRef(value="chat"), line + line),
        SettleRequest("four", "ada", FeatureRef(value="translate"), metadata={"pages": 2}),
    ]
    outcomes = await library.service.settle_batch(requests)

    assert [type(outcome) for outcome in outcomes] == [
        Settled,
        UnknownFeatureError,
        RuntimeError,
        Settled,
        UsageKeyConflictError,
        Settled,
    ]
    replay = outcomes[3]
    assert isinstance(replay, Settled)
    assert replay.replayed
    assert await library.balance("ada") == 100 - Decimal("0.42") - 4


async def test_settling_a_batch_again_changes_nothing(library: Library) -> None:
    await library.grant("ada", 100)
    requests = [SettleRequest(f"k{n}", "ada", FeatureRef(value=PAPER)) for n in range(10)]
    first = await library.service.settle_batch(requests)
    again = await library.service.settle_batch(requests)

    assert await library.balance("ada") == 50
    for before, after in zip(first, again, strict=True):
        assert isinstance(before, Settled)
        assert isinstance(after, Settled)
        assert (after.charged, after.balance, after.replayed) == (before.charged, before.balance, True)


async def test_concurrent_settlements_of_one_key_charge_once(library: Library) -> None:
    await library.grant("ada", 100)
    request = SettleRequest("K", "ada", FeatureRef(value=PAPER))
    outcomes = [
        outcome
        for batch in await asyncio.gather(*(library.service.settle_batch([request]) for _ in range(12)))
        for outcome in batch
    ]

    assert sorted(outcome.replayed for outcome in outcomes if isinstance(outcome, Settled)) == [False] + [True] * 11
    assert await library.balance("ada") == 95


async def test_batch_is_undecided_while_the_database_is_unavailable(library: Library) -> None:
    await library.usage.catalog().current()
    await library.database.close()
    library.database._url = "postgresql://postgres@127.0.0.1:1/none"
    await library.database.open()

    with pytest.raises(EngineUnavailableError):
        await library.service.settle_batch([SettleRequest("K", "ada", FeatureRef(value=PAPER))])


async def test_an_organisation_that_pools_pays_for_its_members(library: Library) -> None:
    await library.grant("org:acme", 1000)
    async with library.database.transaction() as session:
        for user in ("a", "b"):
            await library.usage.members().join(session, user, "acme")
        await library.usage.members().set_policy(session, "acme", ChargingPolicy.POOLED)
    usage = await library.service.record_usage(PAPER, "a")
    started = await library.service.authorize(StartRequest("b", FeatureRef(value=PAPER)))

    assert (usage.credits_charged, usage.organization_id) == (5, "acme")
    assert (started.charging, started.free, started.held) == ("pooled", 990, 5)


@pytest.mark.parametrize(
    "request_",
    [
        StartRequest("org:acme", FeatureRef(value=PAPER)),
        StartRequest("a b", FeatureRef(value=PAPER)),
        StartRequest("ada", FeatureRef(value=PAPER), usage_key="a b"),
        StartRequest("ada", FeatureRef(value=PAPER), organization_id="a b"),
        StartRequest("ada", FeatureRef(value=PAPER), ttl_seconds=86_401),
        StartRequest("ada", FeatureRef(value=PAPER), estimated_credits=Decimal(-1)),
        StartRequest("ada", FeatureRef()),
    ],
)
async def test_invalid_start_is_refused(library: Library, request_: StartRequest) -> None:
    with pytest.raises(InvalidError):
        await library.service.authorize(request_)


def test_invalid_object_in_the_registry_fails_at_start_up_with_its_name() -> None:
    with pytest.raises(StrategyRegistryError, match="'translate' is a int"):
        FeatureFactory({}, {"translate": 5}, features=frozenset())  # type: ignore[dict-item]


async def test_data_erased_during_a_settlement_stays_erased(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """A settlement reads the charge before it locks the wallet, and does not write back what it read."""
    await library.grant("ada", 20)
    start = StartRequest("ada", FeatureRef(value=PAPER), usage_key="k-1", metadata={"who": "Ada"})
    await library.service.authorize(start)
    lock = LedgerSession.lock

    async def erase_first(self: LedgerSession, *args: Any, **more: Any) -> Any:
        async with library.core.database().transaction() as session:
            await session.execute(text("update faregate.charge set metadata = null"))
        return await lock(self, *args, **more)

    monkeypatch.setattr(LedgerSession, "lock", erase_first)
    await library.service.settle(SettleRequest("k-1", "ada", FeatureRef(value=PAPER), ()))
    monkeypatch.undo()
    async with library.core.database().transaction() as session:
        (row,) = await session.execute(text("select status, metadata from faregate.charge"))

    assert tuple(row) == (int(ChargeStatus.SETTLED), None)


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        ({"prompt_tokens": 5}, "did you mean input_tokens"),
        ({"web_search": 5}, "did you mean web_searches"),
        ({"input_tokens": -5}, "input_tokens must be a whole number"),
        ({"input_tokens": 1.5}, "input_tokens must be a whole number"),
        ({"input_tokens": True}, "input_tokens must be a whole number"),
    ],
)
async def test_a_host_s_counts_are_checked_before_anything_is_written(
    library: Library, tokens: dict[str, Any], problem: str
) -> None:
    await library.grant("ada", 20)
    await library.feature(Feature("chat", "token_priced", min_credits=Decimal(1)))
    line = ModelUsage("gpt-4o", tokens=tokens)
    request = SettleRequest("k", "ada", FeatureRef("chat"), usages=(line,))

    with pytest.raises(InvalidError, match=problem):
        await library.service.record_usage("chat", "ada", usages=[line])
    with pytest.raises(InvalidError, match=problem):
        await library.service.authorize(StartRequest("ada", FeatureRef("chat"), estimated_usages=(line,)))
    with pytest.raises(InvalidError, match=problem):
        await library.service.settle(request)
    right = await library.service.settle(replace(request, usages=(ModelUsage("gpt-4o", tokens={"input_tokens": 0}),)))

    assert (right.charged, right.flags) == (0, Flag.NO_HOLD)


async def test_line_with_unknown_counts_is_parked_and_never_free(library: Library) -> None:
    await library.grant("ada", 20)
    await library.feature(Feature("chat", "token_priced", min_credits=Decimal(1)))
    settled = await library.service.settle(
        SettleRequest("k", "ada", FeatureRef(value="chat"), usages=(ModelUsage("gpt-4o"),))
    )

    assert (settled.charged, settled.flags) == (1, Flag.UNPRICED | Flag.NO_HOLD)
