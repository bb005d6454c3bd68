"""Quotes: what a use would hold and cost, without storing anything."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from faregate.core.errors import InvalidError
from faregate.core.settings import Settings, load_settings
from faregate.credit.errors import WalletFrozenError
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec
from faregate.usage.accounts.wallets import WalletChange
from faregate.usage.errors import FeatureInactiveError, NotAMemberError, UnknownFeatureError, UnpricedError
from faregate.usage.values import ChargingPolicy, Feature, FeatureRef, ModelUsage, Rule, SettleRequest, StartRequest
from faregate.wire.credits import to_micros
from support.library import Library

GPT = ModelUsage("gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 100})
UNKNOWN = ModelUsage("no-such-model", tokens={"input_tokens": 10})
CHAT = FeatureRef(value="chat")
FEATURE = Feature("chat", "token_priced", min_credits=Decimal(2))


@pytest.fixture
def settings(database_url: str) -> Settings:
    return load_settings(database_url=database_url, initial_credits=3)


async def _rows(library: Library) -> dict[str, int]:
    """Return the number of rows of each table that a start or a settlement writes."""
    counted: dict[str, int] = {}
    async with library.database.transaction(read_only=True) as session:
        for table in ("subject", "wallet", "charge", "transfer", "usage_event", "credit_grant"):
            rows: Any = await library.database.rows(session, f"select count(*) as n from faregate.{table}")
            counted[table] = rows[0].n
    return counted


async def test_a_quote_of_a_new_user_finds_the_initial_credits_and_writes_nothing(library: Library) -> None:
    await library.feature(FEATURE)
    before = await _rows(library)
    quote = await library.service.quote(StartRequest("auth0|1", CHAT), usages=[GPT])

    assert (quote.free, quote.hold, quote.credits, quote.covered) == (3, 2, Decimal("0.42"), True)
    assert [line.usage.model for line in quote.lines] == ["gpt-4o"]
    assert await _rows(library) == before


async def test_a_quote_is_what_start_and_settlement_do(library: Library) -> None:
    await library.feature(replace(FEATURE, hold_limit_credits=Decimal("2.5")))
    await library.grant("ada", 10)
    request = StartRequest("ada", CHAT, estimated_credits=Decimal(4))
    quote = await library.service.quote(request, usages=[GPT, UNKNOWN])
    started = await library.service.authorize(replace(request, usage_key="k"))
    settled = await library.service.settle(SettleRequest("k", "ada", CHAT, (GPT, UNKNOWN)))

    assert (quote.hold, quote.credits, quote.charging) == (started.hold, settled.consumed, started.charging)
    assert (quote.lines, quote.unpriced_models) == (settled.lines, ("no-such-model",))


async def test_usages_and_estimate_stand_for_each_other(library: Library) -> None:
    await library.feature(replace(FEATURE, min_credits=Decimal(0)))
    one = await library.service.quote(StartRequest("ada", CHAT), usages=[GPT])
    other = await library.service.quote(StartRequest("ada", CHAT, estimated_usages=(GPT,)))
    both = await library.service.quote(StartRequest("ada", CHAT, estimated_usages=(GPT, GPT)), usages=[GPT])

    assert one == other
    assert (both.hold, both.credits) == (Decimal("0.84"), Decimal("0.42"))


async def test_a_quote_above_the_balance_is_not_covered(library: Library) -> None:
    await library.feature(FEATURE)
    by_hold = await library.service.quote(StartRequest("ada", CHAT, estimated_credits=Decimal(4)), usages=[GPT])
    by_price = await library.service.quote(StartRequest("ada", CHAT, estimated_credits=Decimal(1)), usages=[GPT] * 20)

    assert (by_hold.covered, by_price.covered, by_price.credits) == (False, False, Decimal("8.4"))


async def test_credits_of_other_features_do_not_cover(library: Library) -> None:
    for key in ("chat", "paper"):
        await library.feature(replace(FEATURE, key=key))
    spec = GrantSpec(to_micros(Decimal(10)), GrantSource.BONUS, features=("paper",))
    await library.usage.wallets().grant("ada", spec)
    chat = await library.service.quote(StartRequest("ada", CHAT, estimated_credits=Decimal(5)))
    paper = await library.service.quote(StartRequest("ada", FeatureRef(value="paper"), estimated_credits=Decimal(5)))

    assert [(quote.free, quote.covered) for quote in (chat, paper)] == [(3, False), (13, True)]


async def test_the_organisation_pays_or_nobody_does(library: Library) -> None:
    await library.feature(FEATURE)
    async with library.database.transaction() as session:
        await library.usage.members().join(session, "ada", "acme")
    recorded = await library.service.quote(StartRequest("ada", CHAT, estimated_credits=Decimal(99)), usages=[GPT])
    async with library.database.transaction() as session:
        await library.usage.members().set_policy(session, "acme", ChargingPolicy.POOLED)
    await library.grant("org:acme", 50)
    pooled = await library.service.quote(StartRequest("ada", CHAT, estimated_credits=Decimal(9)), usages=[GPT])

    assert (recorded.charging, recorded.hold, recorded.credits, recorded.covered) == (
        Rule.RECORDED, 0, Decimal("0.42"), True,
    )  # fmt: skip
    assert (pooled.charging, pooled.hold, pooled.free, pooled.covered) == (Rule.POOLED, 9, 53, True)


async def test_what_a_start_refuses_a_quote_refuses(library: Library) -> None:
    await library.feature(replace(FEATURE, refuse_unpriced=True))
    await library.feature(replace(FEATURE, key="old", active=False))
    await library.usage.wallets().change("frozen", WalletChange({"status": "frozen"}))
    refused: list[tuple[StartRequest, type[Exception]]] = [
        (StartRequest("ada", FeatureRef(value="nothing")), UnknownFeatureError),
        (StartRequest("ada", FeatureRef(value="old")), FeatureInactiveError),
        (StartRequest("ada", CHAT, estimated_usages=(UNKNOWN,)), UnpricedError),
        (StartRequest("frozen", CHAT), WalletFrozenError),
        (StartRequest("org:acme", CHAT), InvalidError),
        (StartRequest("ada", CHAT, estimated_credits=Decimal(-1)), InvalidError),
    ]
    await library.usage.organizations().change("acme", policy=None, join=[], leave=[])
    refused.append((StartRequest("ada", CHAT, organization_id="acme"), NotAMemberError))
    for request, kind in refused:
        with pytest.raises(kind):
            await library.service.authorize(request)
        with pytest.raises(kind):
            await library.service.quote(request)


async def test_a_quote_prices_at_this_moment(library: Library) -> None:
    """A quote is never dated: it is what the same usage would cost if it was settled now."""
    await library.feature(FEATURE)
    before = datetime.now(UTC)
    quote = await library.service.quote(StartRequest("ada", CHAT), usages=[GPT])
    priced = await library.usage.price_service().quote(GPT, at=before)

    assert (quote.lines[0].credits, quote.lines[0].price_version) == (priced.credits, priced.price_version)
