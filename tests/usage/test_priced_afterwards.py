"""Lines priced after settlement, and prices of models with paths as names."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from faregate.usage.features.documents import PriceDocument, read_document
from faregate.usage.values import Feature, FeatureRef, ModelUsage, SettleRequest
from support.library import Library

CHAT = FeatureRef(id="chat")
REPORTED = ModelUsage("our-own-model", tokens={"input_tokens": 100}, reported_cost_usd=Decimal("0.25"))
AUDIO = ModelUsage("gpt-4o-mini", tokens={"input_tokens": 1000, "output_tokens": 10, "input_audio_tokens": 600})


@pytest.fixture(autouse=True)
async def chat(library: Library) -> None:
    await library.grant("ada", 1000)
    await library.feature(Feature("chat", "token_priced", min_credits=Decimal(2)))


@pytest.fixture
def reported_costs_allowed(library: Library) -> Callable[[], None]:
    prices = library.usage.price_service()

    def allow() -> None:
        prices.last = replace(prices.last, policy=replace(prices.last.policy, use_reported_cost=True))

    return allow


async def _settle(library: Library, key: str, *usages: ModelUsage) -> Any:
    return await library.service.settle(SettleRequest(key, "ada", CHAT, usages))


async def _price(library: Library, model: str, prices: dict[str, Any]) -> None:
    fields = {"prices": prices, "effective_from": datetime(2026, 1, 1, tzinfo=UTC)}
    await library.usage.price_service().set(model, read_document(PriceDocument, fields))


async def test_price_above_the_reported_cost_wins_afterwards_too(library: Library, reported_costs_allowed: Any) -> None:
    await _settle(library, "K", REPORTED)
    await _price(library, "our-own-model", {"input_mtok": 10_000})
    reported_costs_allowed()
    (done,) = await library.usage.repricer().run()

    assert done.charged == 118


async def test_audio_without_a_price_is_parked_and_priced_once_it_has_one(library: Library) -> None:
    """Audio is never charged at the price of text."""
    settled = await _settle(library, "K", AUDIO)
    parked = (await library.service.story("K")).lines
    await _price(library, "gpt-4o-mini", {"input_mtok": 1, "output_mtok": 1, "input_audio_mtok": 100})
    (done,) = await library.usage.repricer().run()

    assert (settled.charged, settled.flags.words) == (2, ["no_hold", "unpriced"])
    assert [(line.usage.tokens, line.credits) for line in parked] == [(AUDIO.tokens, 0)]
    assert done.charged == Decimal("7.2492") - 2


@pytest.mark.parametrize(
    "told", ["gemini-2.5-flash", "models/gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash"]
)
async def test_price_and_margin_of_a_model_apply_to_any_spelling_of_its_path(library: Library, told: str) -> None:
    prices = library.usage.price_service()
    usage = ModelUsage(told, tokens={"input_tokens": 10_000})
    await prices.set_margin("model", "gemini-2.5-flash", Decimal(50))
    published = await prices.quote(usage)
    await _price(library, "gemini-2.5-flash", {"input_mtok": 10})
    own = await prices.quote(usage)

    assert (published.provider_cost_usd, published.margin_percent) == (Decimal("0.003"), 50)
    assert (own.provider_cost_usd, own.margin_percent, own.credits) == (Decimal("0.1"), 50, 15)
