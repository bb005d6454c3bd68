"""Prices that operators set: dated overrides, margins, plans, and lines priced afterwards."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from faregate.core.errors import InvalidError
from faregate.credit.errors import InsufficientCreditsError, UsageKeyConflictError
from faregate.usage.accounts.wallets import WalletChange
from faregate.usage.errors import FeatureNotAllowedError, UnknownFeatureError, UnknownPriceError
from faregate.usage.features.documents import PlanDocument, PriceDocument, read_document
from faregate.usage.values import (
    ChargingPolicy,
    Feature,
    FeatureAccess,
    FeatureRef,
    HoldSizing,
    ModelUsage,
    SettleRequest,
    StartRequest,
)
from support.library import Library

GPT = ModelUsage("gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 100})
OURS = ModelUsage("our-own-model", tokens={"input_tokens": 10**6})
CHAT = FeatureRef(value="chat")


def _price(**fields: Any) -> PriceDocument:
    return read_document(PriceDocument, fields)


async def _chat(library: Library, **fields: Any) -> None:
    await library.feature(Feature("chat", "token_priced", **fields))


async def _settle(library: Library, key: str, *usages: ModelUsage) -> Any:
    return await library.service.settle(SettleRequest(key, "ada", CHAT, usages))


async def _credits(library: Library, usage: ModelUsage, **at: Any) -> Decimal:
    return (await library.usage.price_service().quote(usage, **at)).credits


async def test_override_applies_from_its_date_to_its_end_and_lines_name_it(library: Library) -> None:
    prices = library.usage.price_service()
    now = datetime.now(UTC)
    old = await prices.set(
        "gpt-4o", _price(prices={"input_mtok": 1, "output_mtok": 1}, effective_to=now + timedelta(days=1)), actor="ops"
    )
    await prices.set("GPT-4o", _price(prices={"input_mtok": 100}, effective_from=now + timedelta(days=7)))
    line = await prices.quote(GPT)

    assert old is not None
    assert (line.provider_cost_usd, line.price_version) == (Decimal("0.0011"), f"override {old.number}")
    assert (await prices.quote(GPT, at=now + timedelta(days=2))).provider_cost_usd == Decimal("0.0035")
    assert (await prices.quote(GPT, at=now + timedelta(days=8))).unpriced  # the output has no price in that override
    await prices.withdraw(old.number)
    assert (await prices.quote(GPT)).provider_cost_usd == Decimal("0.0035")
    with pytest.raises(UnknownPriceError):
        await prices.withdraw(old.number)


async def test_explicit_zero_is_a_price(library: Library) -> None:
    await library.usage.price_service().set("our-own-model", _price(prices={"input_mtok": 0}))
    line = await library.usage.price_service().quote(OURS)

    assert (line.unpriced, line.credits) == (False, 0)


async def test_72_margins_by_model_and_provider_in_the_database(library: Library) -> None:
    prices = library.usage.price_service()
    found = [await _credits(library, GPT)]
    await prices.set_margin("provider", "openai", Decimal(30))
    found.append(await _credits(library, GPT))
    await prices.set("gpt-4o", _price(margin_percent=0))
    found.append(await _credits(library, GPT))
    await prices.set("gpt-4o", _price(margin_percent=None))
    found.append(await _credits(library, GPT))

    assert found == [Decimal("0.42"), Decimal("0.455"), Decimal("0.35"), Decimal("0.455")]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prices": {"input_mtoks": 1}},
        {"prices": {"cache_read_mtok": 1}},
        {"prices": {"input_mtok": -1}},
        {"prices": {"input_mtok": 1}, "effective_from": "2026-01-02T00:00:00Z", "effective_to": "2026-01-01T00:00:00Z"},
        {"prices": {"input_mtok": {"base": 1, "tiers": []}}},
    ],
)
async def test_invalid_prices_are_refused(library: Library, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        await library.usage.price_service().set("gpt-4o", _price(**fields))


async def test_74_unpriced_line_is_parked_at_the_minimum_and_priced_later_by_one_transfer(library: Library) -> None:
    await library.grant("ada", 1000)
    await _chat(library, min_credits=Decimal(2))
    settled = await _settle(library, "K", GPT, OURS)
    repricer = library.usage.repricer()
    before = await repricer.run()
    await library.usage.price_service().set(
        "our-own-model",
        _price(prices={"input_mtok": 1}, effective_from=datetime(2026, 1, 1, tzinfo=UTC)),
    )
    done = await repricer.run(actor="ops")
    again = await repricer.run(actor="ops")
    story = await library.service.story("K")

    assert (settled.charged, settled.flags.words) == (2, ["no_hold", "unpriced"])
    assert [(item.lines, item.charged, item.waiting) for item in before] == [(0, 0, 1)]
    assert [(item.usage_key, item.lines, item.charged, item.waiting) for item in done] == [
        ("K", 1, Decimal("118.42"), 0)
    ]
    assert again == []
    assert [(item.kind, item.amount) for item in story.transactions] == [
        ("charge", -2),
        ("reprice", Decimal("-118.42")),
    ]
    (usage,) = await library.service.usages(user_id="ada")
    assert (usage.credits_charged, usage.credits_consumed) == (Decimal("120.42"), Decimal("120.42"))
    assert [line.unpriced for line in story.lines] == [False, False]
    assert await library.balance("ada") == 1000 - Decimal("120.42")
    assert (await library.credit.verifier().verify()).drifts == ()


async def test_contradictory_counts_wait_until_an_operator_prices_them_by_parts(library: Library) -> None:
    await library.grant("ada", 1000)
    await _chat(library, min_credits=Decimal(1))
    odd = ModelUsage("gpt-4o", tokens={"input_tokens": 10, "cache_read_tokens": 10**6}, inconsistent=True)
    settled = await _settle(library, "K", odd)

    assert settled.flags.words == ["no_hold", "unpriced", "inconsistent"]
    assert [item.lines for item in await library.usage.repricer().run()] == [0]
    assert [item.charged for item in await library.usage.repricer().run(by_parts=True)] == [Decimal(149)]


async def test_plan_gives_access_terms_and_recurring_credits(library: Library) -> None:
    await _chat(library, access=FeatureAccess(users=frozenset({"root"})), min_credits=Decimal(5))
    plan = {
        "name": "Pro",
        "margin_percent": 100,
        "features": {"chat": {"min_credits": 1}},
        "grants": [{"credits": 50, "every": "month"}],
    }
    await library.usage.catalog().save_plan(read_document(PlanDocument, plan).plan("pro"))
    with pytest.raises(FeatureNotAllowedError):
        await library.service.authorize(StartRequest("ada", CHAT))
    await library.usage.wallets().change("ada", WalletChange({"plan": "pro"}))
    started = await library.service.authorize(StartRequest("ada", CHAT, usage_key="K"))
    settled = await _settle(library, "K", GPT)

    assert (started.hold, started.balance) == (1, 50)
    assert settled.charged == Decimal("0.7")
    await library.usage.wallets().change("ada", WalletChange({"plan": None}))
    assert await library.balance("ada") == 0
    await library.usage.wallets().change("ada", WalletChange({"plan": "pro"}))
    assert await library.balance("ada") == Decimal("49.3")


async def test_every_version_of_a_definition_is_kept(library: Library) -> None:
    catalog = library.usage.catalog()
    await catalog.save(Feature("chat", "token_priced"), actor="ann")
    await catalog.save(Feature("chat", "token_priced"), actor="bob")
    await catalog.save(Feature("chat", "fixed", parameters={"credits": Decimal(3)}), actor="bob")
    await catalog.delete("chat", actor="eve")
    history = await catalog.history("feature", "chat")

    assert [(item.version, item.actor) for item in history] == [(3, "eve"), (2, "bob"), (1, "ann")]
    assert history[0].content is None
    assert history[1].content is not None
    assert history[1].content["parameters"] == {"credits": 3}


async def test_started_use_is_settled_after_its_feature_is_deleted(library: Library) -> None:
    await library.grant("ada", 10)
    await _chat(library)
    await library.service.authorize(StartRequest("ada", CHAT, usage_key="K"))
    await library.usage.catalog().delete("chat")

    assert (await _settle(library, "K", GPT)).charged == Decimal("0.42")
    with pytest.raises(UnknownFeatureError):
        await library.service.authorize(StartRequest("ada", CHAT))


async def test_fixed_hold_is_reserved_as_configured(library: Library) -> None:
    await library.grant("ada", 10)
    await _chat(library, hold_sizing=HoldSizing.FIXED, hold_credits=Decimal(4))
    started = await library.service.authorize(StartRequest("ada", CHAT, estimated_usages=(GPT,)))

    assert started.hold == 4


async def test_a_debit_charges_an_amount_once_per_key(library: Library) -> None:
    await library.grant("ada", 200)
    first = await library.service.debit("ada", "support", Decimal(50), usage_key="K", metadata={"ticket": 7})
    again = await library.service.debit("ada", "support", Decimal(50), usage_key="K")

    assert (first.credits_charged, first.feature_key, first.metadata, again.id) == (50, "support", {"ticket": 7}, "K")
    assert await library.balance("ada") == 150
    with pytest.raises(UsageKeyConflictError):
        await library.service.debit("ada", "support", Decimal(51), usage_key="K")
    with pytest.raises(InsufficientCreditsError):
        await library.service.debit("ada", "support", Decimal(151))
    with pytest.raises(InvalidError):
        await library.service.debit("ada", "support", Decimal(-1))
    assert [usage.feature_key for usage in await library.service.usages(user_id="ada")] == ["support"]


async def test_organisations_have_a_policy_and_members(library: Library) -> None:
    organizations = library.usage.organizations()
    made = await organizations.change("acme", policy=ChargingPolicy.POOLED, join=["kim", "lee"])
    left = await organizations.change("acme", leave=["kim", "nobody"])

    assert (made.policy, list(made.members)) == (ChargingPolicy.POOLED, ["kim", "lee"])
    assert list(left.members) == ["lee"]
    assert [item.organization_id for item in await organizations.list()] == ["acme"]


async def test_72_the_worked_numbers_from_the_price_to_the_credits(library: Library) -> None:
    """1,000 in at 1,000 per million and 500 out at 2,000 per million make 2.0; then the margins."""
    prices = library.usage.price_service()
    prices_of_it = {"input_mtok": 1000, "output_mtok": 2000}
    usage = ModelUsage("gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 500})
    await prices.set("gpt-4o", _price(prices=prices_of_it))
    line = await prices.quote(usage)
    credits: dict[str, Decimal] = {}
    for margin in ("50", "5", "-100"):
        await prices.set("gpt-4o", _price(prices=prices_of_it, margin_percent=int(margin)))
        credits[margin] = await _credits(library, usage)

    assert line.provider_cost_usd == 2
    assert credits == {"50": 300, "5": 210, "-100": 0}  # at 0.01 USD a credit


async def test_a_reported_cost_prices_a_parked_line_once_the_operator_allows_it(library: Library) -> None:
    """It is stored with the line, so that pricing afterwards uses the same input as the first pricing."""
    await library.grant("ada", 1000)
    await _chat(library, min_credits=Decimal(2))
    settled = await _settle(library, "K", replace(OURS, reported_cost_usd=Decimal("0.75")))
    prices, repricer = library.usage.price_service(), library.usage.repricer()
    before = await repricer.run()
    prices.last = replace(prices.last, policy=replace(prices.last.policy, use_reported_cost=True))
    (done,) = await repricer.run(actor="ops")
    (line,) = (await library.service.story("K")).lines

    assert settled.flags.words == ["no_hold", "unpriced"]
    assert [(item.lines, item.waiting) for item in before] == [(0, 1)]
    assert (done.lines, done.charged, done.waiting, done.reasons) == (1, Decimal(88), 0, ())
    assert (line.price_version, line.provider_cost_usd, line.credits) == ("reported", Decimal("0.75"), 90)


@pytest.mark.parametrize(
    ("usage", "why"),
    [
        (OURS, "no price is known for our-own-model; set one with `faregate prices set`"),
        (
            ModelUsage("gpt-4o", tokens={"input_tokens": 10, "input_audio_tokens": 5}),
            "the prices of gpt-4o do not cover input_audio_tokens; set them with `faregate prices set`",
        ),
        (
            ModelUsage("gpt-4o", tokens={"input_tokens": 10, "cache_read_tokens": 50}, inconsistent=True),
            "its counts contradict each other; --by-parts prices each part by itself",
        ),
        (ModelUsage(None, quantity=Decimal(3), unit="images"), "a line in images has no price of a model"),
    ],
)
async def test_parked_line_states_why_it_waits(library: Library, usage: ModelUsage, why: str) -> None:
    await library.grant("ada", 1000)
    await _chat(library, min_credits=Decimal(1))
    await _settle(library, "K", GPT, usage)
    (found,) = await library.usage.repricer().run()

    assert (found.lines, found.charged, found.waiting, found.reasons) == (0, 0, 1, (f"line 1: {why}",))


async def test_another_reported_cost_under_the_same_key_is_a_conflict(library: Library) -> None:
    """If the deployment prices by reported costs, the same key would otherwise keep the price of the first call."""
    await library.grant("ada", 1000)
    await _chat(library)
    told = replace(GPT, reported_cost_usd=Decimal("0.05"))
    first = await _settle(library, "K", told)
    again = await _settle(library, "K", replace(told, reported_cost_usd=Decimal("0.0500")))

    assert again == replace(first, replayed=True)
    for other in (GPT, replace(told, reported_cost_usd=Decimal("0.06"))):
        with pytest.raises(UsageKeyConflictError):
            await _settle(library, "K", other)
