"""Prices, plans, organisations, native usage and debits over HTTP."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from support.apps import Gateway, open_gateway, settings_for


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url)) as gateway:
        yield gateway


async def test_a_quote_says_what_a_use_would_cost_by_counts_or_as_the_provider_reported(gateway: Gateway) -> None:
    native = {"model": "gpt-4o", "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}
    by_counts = await gateway.post(
        "/api/prices/quote", {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
    )
    by_native = await gateway.post("/api/prices/quote", {"provider": "openai", "usage": native})
    dated = await gateway.post(
        "/api/prices/quote", {"ai_model": "o3", "input_tokens": 1000, "at": "2025-06-01T00:00:00Z"}
    )
    unknown = await gateway.post("/api/prices/quote", {"ai_model": "no/such", "input_tokens": 1})

    assert by_counts.data["provider_cost_usd"] == Decimal("0.0035")
    assert (by_counts.data["credits"], by_counts.data["provider"], by_counts.data["unpriced"]) == (
        Decimal("0.42"),
        "openai",
        False,
    )
    assert by_native.data == by_counts.data
    assert dated.data["provider_cost_usd"] == Decimal("0.01")
    assert (unknown.data["unpriced"], unknown.data["credits"]) == (True, None)
    assert (await gateway.post("/api/prices/quote", {"usage": {"x": 1}})).status == 422


async def test_an_override_and_a_margin_are_put_and_seen(gateway: Gateway) -> None:
    put = await gateway.put(
        "/api/prices/openai/gpt-4o",
        {"prices": {"input_mtok": 1, "output_mtok": 2}, "margin_percent": 0, "note": "deal"},
    )
    got = await gateway.get("/api/prices/openai/gpt-4o")
    listed = await gateway.get("/api/prices")
    published = await gateway.get("/api/prices/claude-sonnet-4-5")

    assert got.status == 200, (put.body, got.body)
    assert (put.status, got.data["prices"], got.data["margin_percent"]) == (200, {"input_mtok": 1, "output_mtok": 2}, 0)
    assert got.data["price_version"] == f"override {listed.data[0]['number']}"
    assert published.status == 200, published.body
    assert published.data["prices"]["input_mtok"]["tiers"][0]["start"] == 200_000
    assert (await gateway.get("/api/prices/no-such")).error["code"] == "unknown_price"
    assert (await gateway.put("/api/prices/gpt-4o", {"prices": {"cache_read_mtok": 1}})).status == 422


async def test_usage_is_settled_as_the_provider_reported_it(gateway: Gateway) -> None:
    await gateway.grant("ada", 10)
    await gateway.feature("chat")
    anthropic = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 700,
        "cache_read_input_tokens": 200,
        "output_tokens": 0,
    }
    settled = await gateway.end("ada", "chat", usages=[{"ai_model": "claude-sonnet-4-5", "usage": anthropic}])

    assert settled.status == 200, settled.body
    assert settled.data["details"][0]["provider_cost_usd"] == Decimal("0.002985")
    assert settled.data["details"][0]["input_tokens"] == 1000


async def test_uses_are_priced_by_unit_over_http(gateway: Gateway) -> None:
    await gateway.grant("ada", 10)
    await gateway.feature("draw", strategy="per_unit", parameters={"units": {"images": 2}})
    settled = await gateway.end("ada", "draw", usages=[{"unit": "images", "quantity": 3}])

    assert settled.data["charged"] == 6
    assert (await gateway.put("/api/features/draw", {"strategy": "per_unit", "parameters": {"unit": 2}})).status == 422


async def test_a_plan_is_defined_and_deleted(gateway: Gateway) -> None:
    await gateway.feature("chat")
    plan = {"features": {"chat": {"margin_percent": 5}}, "grants": [{"credits": 50, "every": "month"}]}
    put = await gateway.put("/api/plans/pro", plan)
    await gateway.put("/api/wallets/ada", {"plan": "pro"})
    wallet = await gateway.get("/api/wallets/ada")
    gone = await gateway.call("DELETE", "/api/plans/pro")

    assert (put.status, put.data["features"], wallet.data["balance"]) == (200, {"chat": {"margin_percent": 5}}, 50)
    assert (await gateway.put("/api/plans/pro", {"features": {"nothing": {}}})).status == 422
    assert (gone.status, (await gateway.get("/api/plans/pro")).error["code"]) == (200, "unknown_plan")


async def test_an_organisation_pools_and_its_wallet_pays(gateway: Gateway) -> None:
    await gateway.grant("org:acme", 100)
    put = await gateway.put("/api/organizations/acme", {"policy": "pooled", "join": ["kim"]})
    used = await gateway.post("/api/usage", {"feature_key": "GENERATE_QUESTION_PAPER", "user_id": "kim"})

    assert put.data == {"organization_id": "acme", "policy": "pooled", "members": ["kim"]}
    assert (used.data["organization_id"], used.data["credits_charged"]) == ("acme", 5)
    assert (await gateway.get("/api/wallets/org:acme")).data["balance"] == 95
    assert (await gateway.get("/api/organizations")).data[0]["policy"] == "pooled"
    assert (await gateway.get("/api/organizations/none")).status == 404


async def test_48_a_debit_with_a_key_is_charged_once(gateway: Gateway) -> None:
    await gateway.grant("ada", 200)
    body = {"credits": 50, "service": "support", "usage_key": "K"}
    first = await gateway.post("/api/wallets/ada/debits", body)
    again = await gateway.post("/api/wallets/ada/debits", body)

    assert (first.status, again.status, again.data["id"]) == (201, 201, first.data["id"])
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 150
    assert (await gateway.get("/api/usage?user_id=ada")).data[0]["feature_key"] == "support"
    assert (await gateway.post("/api/wallets/ada/debits", {**body, "usage_key": "L", "credits": 151})).status == 402


async def test_a_debit_has_an_actor_and_a_reason(gateway: Gateway) -> None:
    await gateway.grant("ada", 20)
    await gateway.post("/api/wallets/ada/debits", {"credits": 5, "service": "support", "reason": "an hour by phone"})
    await gateway.post("/api/wallets/ada/debits", {"credits": 4, "service": "printing"})
    shown = (await gateway.get("/api/wallets/ada/transactions")).data[:2]

    assert [(t["amount"], t["actor"], t["reason"]) for t in shown] == [
        (-4, "bootstrap", "printing"),
        (-5, "bootstrap", "an hour by phone"),
    ]


async def test_a_service_tier_has_its_price_in_quotes_and_settlements(gateway: Gateway) -> None:
    """Anthropic's batches cost half."""
    await gateway.grant("ada", 100)
    await gateway.feature("chat")
    counts = {"ai_model": "claude-haiku-4-5", "input_tokens": 10_000, "output_tokens": 1000}
    usual, batch = [
        await gateway.post("/api/prices/quote", {**counts, **tier}) for tier in ({}, {"service_tier": "batch"})
    ]
    settled = await gateway.end("ada", "chat", usages=[counts, {**counts, "service_tier": "batch"}])

    assert (usual.data["provider_cost_usd"], batch.data["provider_cost_usd"]) == (Decimal("0.015"), Decimal("0.0075"))
    assert [line["provider_cost_usd"] for line in settled.data["details"]] == [Decimal("0.015"), Decimal("0.0075")]


async def test_any_character_of_a_model_in_a_path_is_part_of_its_name(gateway: Gateway) -> None:
    """Also a slash and a line break: an unusual name is an unknown model, not an unknown path."""
    for name in ("google/gemini-9", "%0Agpt%0A", "gpt%0Dx", "a%2Fb"):
        asked = await gateway.get(f"/api/prices/{name}")
        assert (asked.status, asked.error["code"]) == (404, "unknown_price"), name
        put = await gateway.put(f"/api/prices/{name}", {"margin_percent": 5})
        assert (put.status, put.error["code"]) == (404, "unknown_price"), name
    wrong = await gateway.get("/api/meters/%0Aseats")
    assert (wrong.status, wrong.error["param"]) == (422, "name")
