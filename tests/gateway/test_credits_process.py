"""The phases of the credits process over HTTP, as in the HTTP contract."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from support.apps import Gateway, open_gateway, settings_for
from support.mentions import mentions

USAGE = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
"""Costs 0.0035 USD, so 0.42 credits at 0.01 USD a credit and 20 % margin."""


@pytest.fixture(autouse=True)
async def _features(gateway: Gateway) -> None:
    await gateway.feature("ai_chat_v1", min_credits=2)
    await gateway.grant("ada", 10)


async def test_start_holds_and_end_settles(gateway: Gateway) -> None:
    started = await gateway.start("ada", "ai_chat_v1")
    ended = await gateway.end("ada", "ai_chat_v1", usage_key=started.data["usage_key"], usages=[USAGE])

    assert started.status == 200
    assert started.body["success"] is True
    assert {
        name: started.data[name] for name in ("status", "user_id", "credits", "balance", "held", "hold", "charging")
    } == {
        "status": "accessible",
        "user_id": "ada",
        "credits": 8,
        "balance": 10,
        "held": 2,
        "hold": 2,
        "charging": "individual",
    }
    assert ended.status == 200
    assert {name: ended.data[name] for name in ("status", "credits", "balance", "charged", "shortfall", "flags")} == {
        "status": "returnable",
        "credits": Decimal("9.58"),
        "balance": Decimal("9.58"),
        "charged": Decimal("0.42"),
        "shortfall": 0,
        "flags": [],
    }
    (line,) = ended.data["details"]
    assert (line["provider_cost_usd"], line["margin_percent"], line["credits"]) == (
        Decimal("0.0035"),
        20,
        Decimal("0.42"),
    )


async def test_a_refused_start_has_its_reason_in_the_fields_that_existing_clients_read(gateway: Gateway) -> None:
    refused = await gateway.start("bela", "ai_chat_v1")

    assert refused.status == refused.body["status"] == 402
    assert refused.body["success"] is False
    assert (refused.data["status"], refused.data["user_id"], refused.data["credits"], refused.data["required"]) == (
        "not-accessible",
        "bela",
        0,
        2,
    )
    assert (
        refused.data["message"]
        == refused.body["message"]
        == "Insufficient credits: 0 free, 2 needed; top up or ask for less"
    )
    assert (refused.error["code"], refused.error["balance"], refused.error["required"]) == (
        "insufficient_credits",
        0,
        2,
    )


async def test_a_refused_start_succeeds_with_the_same_key_after_a_top_up(gateway: Gateway) -> None:
    refused = await gateway.start("bela", "ai_chat_v1", usage_key="K")
    await gateway.grant("bela", 5)
    accepted = await gateway.start("bela", "ai_chat_v1", usage_key="K")

    assert (refused.status, accepted.status, accepted.data["usage_key"]) == (402, 200, "K")


async def test_the_same_start_again_is_the_same_hold_and_another_one_conflicts(gateway: Gateway) -> None:
    first = await gateway.start("ada", "ai_chat_v1", usage_key="K", metadata={"a": 1})
    again = await gateway.start("ada", "ai_chat_v1", usage_key="K", metadata={"a": 2})
    other = await gateway.start("ada", "ai_chat_v1", usage_key="K", estimated_credits=5)

    assert (again.status, again.data["expires_at"], again.data["credits"]) == (200, first.data["expires_at"], 8)
    assert (other.status, other.error["code"], other.data["credits"]) == (409, "key_conflict", 8)


async def test_settling_again_gives_the_first_result_and_other_usage_conflicts(gateway: Gateway) -> None:
    key = (await gateway.start("ada", "ai_chat_v1")).data["usage_key"]
    first = await gateway.end("ada", "ai_chat_v1", usage_key=key, usages=[USAGE])
    again = await gateway.end("ada", "ai_chat_v1", usage_key=key, usages=[USAGE], duration=99, metadata={"x": 1})
    other = await gateway.end("ada", "ai_chat_v1", usage_key=key, usages=[USAGE, USAGE])

    assert {**again.data, "message": ""} == {**first.data, "message": ""}
    assert (other.status, other.error["code"]) == (409, "key_conflict")


async def test_end_and_end_multimodel_have_the_same_result(gateway: Gateway) -> None:
    key = (await gateway.start("ada", "ai_chat_v1")).data["usage_key"]
    flat = {"user_id": "ada", "feature_endpoint_id": "ai_chat_v1", "usage_key": key, "ai_model": "gpt-4o"}
    first = await gateway.post("/api/credits-process/end", {**flat, "input_token": 1000, "output_token": 100})
    again = await gateway.end("ada", "ai_chat_v1", usage_key=key, usages=[USAGE])

    assert first.data["charged"] == Decimal("0.42")
    assert again.data["message"].startswith("Settled before")


@pytest.mark.parametrize("wrong", ["inputTokens", "audio_secs_tokens", "web_search", "cache_write_1h_token"])
async def test_an_unknown_field_of_a_settlement_is_refused_and_the_corrected_body_settles(
    gateway: Gateway, wrong: str
) -> None:
    key = (await gateway.start("ada", "ai_chat_v1")).data["usage_key"]
    flat = {"user_id": "ada", "feature_endpoint_id": "ai_chat_v1", "usage_key": key, "ai_model": "gpt-4o"}
    refused = await gateway.post("/api/credits-process/end", {**flat, wrong: 1000})
    story = (await gateway.get(f"/api/credits-process/{key}")).data
    right = await gateway.post("/api/credits-process/end", {**flat, "prompt_tokens": 1000, "completion_tokens": 100})

    assert (refused.status, refused.error["code"]) == (422, "invalid")
    assert f"{wrong} is not known here" in refused.error["detail"]
    assert story["status"] == "open"
    assert (right.status, right.data["charged"]) == (200, Decimal("0.42"))


async def test_several_models_are_rounded_up_each(gateway: Gateway) -> None:
    small = {"ai_model": "gpt-4o-mini", "input_tokens": 1, "output_tokens": 0}
    ended = await gateway.end("ada", "ai_chat_v1", usages=[USAGE, small, small])

    assert [line["credits"] for line in ended.data["details"]] == [
        Decimal("0.42"),
        Decimal("0.000018"),
        Decimal("0.000018"),
    ]
    assert ended.data["charged"] == Decimal("0.420036")


async def test_a_settlement_without_a_start_is_settled_and_flagged(gateway: Gateway) -> None:
    ended = await gateway.end("ada", "ai_chat_v1", usage_key="never-started", usages=[USAGE])

    assert (ended.status, ended.data["flags"], ended.data["charged"]) == (200, ["no_hold"], Decimal("0.42"))


async def test_a_deployment_may_forbid_settlements_without_a_start(database_url: str) -> None:
    async with open_gateway(settings_for(database_url, allow_unstarted=False)) as strict:
        refused = await strict.end("ada", "ai_chat_v1", usage_key="never-started", usages=[USAGE])

    assert (refused.status, refused.error["code"]) == (404, "unknown_usage_key")


async def test_without_a_key_one_is_generated_and_the_settlement_is_flagged(gateway: Gateway) -> None:
    ended = await gateway.end("ada", "ai_chat_v1", usages=[USAGE])

    assert ended.data["usage_key"]
    assert ended.data["flags"] == ["no_hold", "keyless"]


async def test_an_idempotency_key_replaces_a_missing_usage_key(gateway: Gateway) -> None:
    first, again = [
        await gateway.end("ada", "ai_chat_v1", usages=[USAGE], headers={"Idempotency-Key": "mine"}) for _ in range(2)
    ]

    assert first.data["usage_key"] == again.data["usage_key"]
    assert again.data["balance"] == Decimal("9.58")


async def test_an_amount_beyond_hold_and_balance_is_a_shortfall(gateway: Gateway) -> None:
    key = (await gateway.start("ada", "ai_chat_v1")).data["usage_key"]
    ended = await gateway.end("ada", "ai_chat_v1", usage_key=key, usages=[{**USAGE, "input_tokens": 100_000}])

    assert (ended.data["charged"], ended.data["shortfall"], ended.data["balance"]) == (10, Decimal("20.12"), 0)
    assert ended.data["flags"] == ["over_hold", "shortfall"]


async def test_a_settlement_without_usage_releases_the_hold(gateway: Gateway) -> None:
    key = (await gateway.start("ada", "ai_chat_v1")).data["usage_key"]
    ended = await gateway.end("ada", "ai_chat_v1", usage_key=key, usages=[])

    assert (ended.data["charged"], ended.data["credits"]) == (0, 10)


async def test_another_user_or_feature_than_started_is_a_mismatch(gateway: Gateway) -> None:
    await gateway.feature("other")
    key = (await gateway.start("ada", "ai_chat_v1")).data["usage_key"]
    user = await gateway.end("bela", "ai_chat_v1", usage_key=key, usages=[USAGE])
    feature = await gateway.end("ada", "other", usage_key=key, usages=[USAGE])

    assert [(a.status, a.error["code"], a.error["param"]) for a in (user, feature)] == [
        (409, "hold_mismatch", "user_id"),
        (409, "hold_mismatch", "feature"),
    ]
    assert (await gateway.get("/api/wallets/ada")).data["held"] == 2


async def test_a_void_closes_the_hold_and_a_late_settlement_is_still_charged(gateway: Gateway) -> None:
    key = (await gateway.start("ada", "ai_chat_v1")).data["usage_key"]
    voided = [
        await gateway.post("/api/credits-process/void", {"usage_key": key, "user_id": "ada", "reason": "gave up"})
        for _ in range(2)
    ]
    late = await gateway.end("ada", "ai_chat_v1", usage_key=key, usages=[USAGE])
    after = await gateway.post("/api/credits-process/void", {"usage_key": key, "user_id": "ada"})

    assert [(a.status, a.data["status"], a.data["credits"]) for a in voided] == [(200, "voided", 10)] * 2
    assert (late.data["flags"], late.data["charged"]) == (["late"], Decimal("0.42"))
    assert (after.status, after.error["code"]) == (409, "already_settled")


async def test_extending_moves_the_end(gateway: Gateway) -> None:
    started = await gateway.start("ada", "ai_chat_v1", ttl_seconds=60)
    body = {"usage_key": started.data["usage_key"], "user_id": "ada", "ttl_seconds": 7200}
    extended = await gateway.post("/api/credits-process/extend", body)

    assert extended.data["expires_at"] > started.data["expires_at"]
    assert (await gateway.post("/api/credits-process/extend", {**body, "ttl_seconds": 0})).status == 422


async def test_the_story_of_one_use_is_complete(gateway: Gateway) -> None:
    key = (await gateway.start("ada", "ai_chat_v1", metadata={"page": 3})).data["usage_key"]
    await gateway.end("ada", "ai_chat_v1", usage_key=key, usages=[USAGE], duration=1234)
    story = (await gateway.get(f"/api/credits-process/{key}")).data

    assert (story["status"], story["hold"], story["credits_charged"]) == ("settled", 2, Decimal("0.42"))
    assert (story["duration_ms"], story["metadata"]) == (1234, {"page": 3})
    assert [line["ai_model"] for line in story["details"]] == ["gpt-4o"]
    assert [(t["kind"], t["amount"]) for t in story["transactions"]] == [("charge", Decimal("-0.42"))]
    unknown = await gateway.get("/api/credits-process/nobody")
    assert (unknown.status, unknown.error["code"]) == (404, "unknown_usage_key")


async def test_a_use_of_an_unknown_model_is_unpriced_and_not_free(gateway: Gateway) -> None:
    key = (await gateway.start("ada", "ai_chat_v1")).data["usage_key"]
    ended = await gateway.end("ada", "ai_chat_v1", usage_key=key, usages=[{**USAGE, "ai_model": "nobody/knows-this"}])

    assert (ended.data["charged"], ended.data["flags"]) == (2, ["unpriced"]), "the feature's minimum at least"
    assert [(line["unpriced"], line["provider_cost_usd"]) for line in ended.data["details"]] == [(True, None)]


async def test_estimates_size_the_hold_and_list_models_without_a_price(gateway: Gateway) -> None:
    sized = await gateway.start("ada", "ai_chat_v1", estimated_usages=[{**USAGE, "input_tokens": 10_000}])
    unpriced = await gateway.start("ada", "ai_chat_v1", estimated_usages=[{**USAGE, "ai_model": "unheard-of"}])

    assert (sized.data["hold"], sized.data["unpriced"]) == (Decimal("3.12"), [])
    assert unpriced.data["unpriced"] == ["unheard-of"]


async def test_a_feature_may_refuse_models_without_a_price(gateway: Gateway) -> None:
    await gateway.feature("strict", refuse_unpriced=True)
    refused = await gateway.start("ada", "strict", estimated_usages=[{**USAGE, "ai_model": "unheard-of"}])

    assert (refused.status, refused.error["code"], refused.error["models"]) == (409, "unpriced", ["unheard-of"])


async def test_a_hold_is_capped(gateway: Gateway) -> None:
    await gateway.feature("capped", hold_limit_credits=1)
    started = await gateway.start("ada", "capped", estimated_credits=9)

    assert started.data["hold"] == 1


async def test_an_unknown_feature_is_refused_with_similar_ones(gateway: Gateway) -> None:
    refused = await gateway.start("ada", "ai_chat_v2")

    assert (refused.status, refused.error["code"]) == (404, "unknown_feature")
    assert "Did you mean 'ai_chat_v1'?" in refused.error["detail"]
    assert refused.data["credits"] == 10


async def test_features_are_named_by_id_or_slug_or_both(gateway: Gateway) -> None:
    await gateway.feature("painter", id="507f1f77bcf86cd799439011")
    names = [
        {"feature_endpoint_id": "507f1f77bcf86cd799439011"},
        {"feature_endpoint_id": "painter"},
        {"feature_endpoint_value": "painter"},
        {"feature_endpoint_id": "507f1f77bcf86cd799439011", "feature_endpoint_value": "painter"},
    ]
    answers = [await gateway.post("/api/credits-process/start", {"user_id": "ada", **name}) for name in names]
    torn = {"feature_endpoint_id": "painter", "feature_endpoint_value": "ai_chat_v1"}
    both = await gateway.post("/api/credits-process/start", {"user_id": "ada", **torn})
    none = await gateway.post("/api/credits-process/start", {"user_id": "ada"})

    assert [(a.status, a.data["feature_key"]) for a in answers] == [(200, "painter")] * 4
    assert (both.status, both.error["code"]) == (422, "invalid")
    assert (none.status, none.error["code"]) == (422, "invalid")


async def test_access_rules_and_inactive_features_refuse(gateway: Gateway) -> None:
    await gateway.feature("vip", access={"users": ["ada"], "plans": ["gold"]})
    await gateway.feature("off", active=False)
    await gateway.grant("bela", 10)
    await gateway.grant("carl", 10)
    await gateway.put("/api/wallets/carl", {"plan": "gold"})

    answers = [await gateway.start(user, "vip") for user in ("ada", "bela", "carl")]
    off = await gateway.start("ada", "off")

    assert [a.status for a in answers] == [200, 403, 200]
    assert answers[1].error["code"] == "feature_not_allowed"
    assert (
        answers[1]
        .error["detail"]
        .startswith(
            "The feature 'vip' is only for users of the plans 'gold' and certain users; this user is on no plan and a member of no "
            "organisation. Put the user on such a plan (PUT /api/wallets/{user_id}), or change `access` of the feature"
        )
    )
    assert not mentions(answers[1].error["detail"], "ada"), "who else may use it is nobody's business"
    assert (off.status, off.error["code"]) == (403, "feature_inactive")


@pytest.mark.parametrize("change", ["deleted", "given another id"])
async def test_a_use_begun_by_id_is_settled_after_any_change_of_the_feature(gateway: Gateway, change: str) -> None:
    await gateway.feature("painter", id="507f1f77bcf86cd799439011", strategy="fixed", parameters={"credits": 2})
    named = {"user_id": "ada", "feature_endpoint_id": "507f1f77bcf86cd799439011"}
    key = (await gateway.post("/api/credits-process/start", named)).data["usage_key"]
    if change == "deleted":
        await gateway.call("DELETE", "/api/features/painter")
    else:
        await gateway.feature("painter", id="607f1f77bcf86cd799439011", strategy="fixed", parameters={"credits": 2})

    ended = await gateway.post("/api/credits-process/end-multimodel", {**named, "usage_key": key, "usages": []})
    other = await gateway.post("/api/credits-process/start", {"user_id": "ada", "feature_endpoint_id": "ai_chat_v1"})
    mixed = {**named, "feature_endpoint_id": "ai_chat_v1", "usage_key": key, "usages": []}

    assert (ended.status, ended.data["charged"]) == (200, 2)
    assert other.status == 200
    assert (await gateway.post("/api/credits-process/end-multimodel", mixed)).error["code"] == "hold_mismatch"


async def test_a_frozen_wallet_refuses_starts_and_settles_running_uses(gateway: Gateway) -> None:
    key = (await gateway.start("ada", "ai_chat_v1")).data["usage_key"]
    await gateway.put("/api/wallets/ada", {"status": "frozen"})
    refused = await gateway.start("ada", "ai_chat_v1")
    ended = await gateway.end("ada", "ai_chat_v1", usage_key=key, usages=[USAGE])

    assert (refused.status, refused.error["code"]) == (403, "wallet_frozen")
    assert ended.data["charged"] == Decimal("0.42")


@pytest.mark.parametrize("status", ["frozen", "closed"])
async def test_a_wallet_that_is_not_active_refuses_direct_uses_and_debits(gateway: Gateway, status: str) -> None:
    await gateway.grant("ada", 20)
    await gateway.put("/api/wallets/ada", {"status": status})
    used = await gateway.post("/api/usage", {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"})
    debited = await gateway.post("/api/wallets/ada/debits", {"credits": 1, "service": "support"})
    started = await gateway.start("ada", "ai_chat_v1")

    assert [(a.status, a.error["code"]) for a in (used, debited, started)] == [(403, f"wallet_{status}")] * 3


async def test_a_closed_wallet_accepts_no_credits_until_it_is_reopened(gateway: Gateway) -> None:
    key = (await gateway.start("ada", "ai_chat_v1")).data["usage_key"]
    await gateway.put("/api/wallets/ada", {"status": "closed"})
    grant = {"credits": 5, "source": "bonus"}
    granted = await gateway.post("/api/wallets/ada/grants", grant)
    raised = await gateway.post("/api/wallets/ada/adjustments", {"credits": 5, "reason": "goodwill"})
    lowered = await gateway.post("/api/wallets/ada/adjustments", {"credits": -1, "reason": "paid out"})
    ended = await gateway.end("ada", "ai_chat_v1", usage_key=key, usages=[USAGE])
    await gateway.put("/api/wallets/ada", {"status": "active"})
    again = await gateway.post("/api/wallets/ada/grants", grant)

    assert [(a.status, a.error["code"]) for a in (granted, raised)] == [(403, "wallet_closed")] * 2
    assert "status to active" in granted.error["detail"]
    assert (lowered.status, ended.data["charged"], again.status) == (201, Decimal("0.42"), 201)


async def test_members_of_an_organisation_are_recorded_not_charged(gateway: Gateway) -> None:
    await gateway.put("/api/wallets/kim", {"organization_id": "acme"})
    started = await gateway.start("kim", "ai_chat_v1")
    ended = await gateway.end("kim", "ai_chat_v1", usage_key=started.data["usage_key"], usages=[USAGE])
    listed = (await gateway.get("/api/usage?organization_id=acme")).data

    assert (started.status, started.data["charging"], started.data["hold"]) == (200, "recorded", 0)
    assert (ended.data["charged"], ended.data["consumed"], ended.data["shortfall"]) == (0, Decimal("0.42"), 0)
    assert [(u["credits_consumed"], u["credits_charged"]) for u in listed] == [(Decimal("0.42"), 0)]


async def test_a_membership_change_counts_from_the_next_start(gateway: Gateway) -> None:
    before = await gateway.start("ada", "ai_chat_v1")
    await gateway.put("/api/wallets/ada", {"organization_id": "acme"})
    after = await gateway.start("ada", "ai_chat_v1")
    ended = await gateway.end("ada", "ai_chat_v1", usage_key=before.data["usage_key"], usages=[USAGE])

    assert (before.data["charging"], after.data["charging"]) == ("individual", "recorded")
    assert ended.data["charged"] == Decimal("0.42")


async def test_prefer_respond_async_puts_the_settlement_on_the_queue(gateway: Gateway) -> None:
    key = (await gateway.start("ada", "ai_chat_v1")).data["usage_key"]
    accepted = await gateway.end(
        "ada", "ai_chat_v1", usage_key=key, usages=[USAGE], headers={"Prefer": "respond-async"}
    )
    transport = gateway.container.transport()

    assert (accepted.status, accepted.data["status"], accepted.data["usage_key"]) == (202, "processing", key)
    assert (await transport.backlog("credits_process_end_multimodel_queue")).depth == 1


async def test_simultaneous_starts_never_overspend(gateway: Gateway) -> None:
    """600 credits, five holds of 500 at once: exactly one is accepted."""
    await gateway.grant("rich", 600)
    await gateway.feature("big", min_credits=500)

    answers = await asyncio.gather(*(gateway.start("rich", "big") for _ in range(5)))

    assert sorted(answer.status for answer in answers) == [200, 402, 402, 402, 402]


async def test_the_initial_grant_is_made_once_with_concurrent_first_calls(database_url: str) -> None:
    async with open_gateway(settings_for(database_url, initial_credits=10)) as generous:
        answers = await asyncio.gather(*(generous.start(f"new-{n % 2}", "ai_chat_v1") for n in range(10)))
        wallets = [(await generous.get(f"/api/wallets/new-{n}")).data for n in range(2)]

    assert {answer.status for answer in answers} == {200}
    assert [(wallet["balance"], wallet["held"]) for wallet in wallets] == [(10, 10), (10, 10)]


async def test_a_feature_may_be_limited_to_the_members_of_an_organisation(gateway: Gateway) -> None:
    await gateway.feature("theirs", access={"organizations": ["acme"]})
    await gateway.put("/api/organizations/acme", {"join": ["kim"]})
    await gateway.grant("kim", 10)

    member, stranger = [await gateway.start(user, "theirs") for user in ("kim", "ada")]
    assert (member.status, stranger.status, stranger.error["code"]) == (200, 403, "feature_not_allowed")
    assert "is only for members of certain organisations; this user is on no plan" in stranger.error["detail"]
    assert "acme" not in stranger.error["detail"]


async def test_a_hold_lasts_as_long_as_the_start_or_else_the_feature_says(gateway: Gateway) -> None:
    await gateway.feature("long", hold_ttl_seconds=7200)
    begun = datetime.now(UTC)
    own, wished = await gateway.start("ada", "long"), await gateway.start("ada", "long", ttl_seconds=60)
    lasting = [datetime.fromisoformat(answer.data["expires_at"]) - begun for answer in (own, wished)]

    assert [round(length / timedelta(seconds=30)) for length in lasting] == [240, 2]


async def test_a_hold_is_sized_by_earlier_costs_from_twenty_uses_on(gateway: Gateway) -> None:
    """Nine in ten of these uses cost at most 18 credits; with fewer than twenty uses the estimate applies."""
    priced = {"strategy": "per_unit", "parameters": {"units": {"pages": 1}}}
    await gateway.feature("print", **priced, hold_sizing="percentile", hold_percentile=90)
    await gateway.grant("bela", 1000)
    before = await gateway.start("bela", "print", estimated_usages=[{"unit": "pages", "quantity": 3}])
    for pages in range(1, 21):
        settled = await gateway.end(
            "bela", "print", usages=[{"unit": "pages", "quantity": pages}], usage_key=f"p{pages}"
        )
        assert settled.data["charged"] == pages

    async with open_gateway(
        gateway.container.settings()
    ) as another:  # the history is cached, and has not been read again yet
        after = await another.start("bela", "print", estimated_usages=[{"unit": "pages", "quantity": 3}])
    assert (before.data["hold"], after.data["hold"]) == (3, 18)


async def test_usage_reported_by_the_provider_is_stored_on_the_line(gateway: Gateway) -> None:
    raw = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 200}}
    spoken = {**raw, "completion": "hello", "user": "ada@example.com"}
    await gateway.end("ada", "ai_chat_v1", usages=[{"ai_model": "gpt-4o", "usage": spoken}], usage_key="K")
    async with gateway.database.transaction() as session:
        rows = await gateway.database.rows(session, "select raw from faregate.usage_line where usage_key = 'K'")

    assert [row.raw for row in rows] == [raw]


async def test_an_organisation_may_be_named_only_by_its_members(gateway: Gateway) -> None:
    """In every call that may be the first of a use: 404 for an unknown organisation, 403 for one without the user as member."""
    await gateway.put("/api/organizations/acme", {"policy": "pooled", "join": ["kim"]})
    await gateway.grant("org:acme", 100)
    feature = {"user_id": "ada", "feature_endpoint_value": "ai_chat_v1"}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("/api/credits-process/start", feature),
        ("/api/credits-process/end-multimodel", {**feature, "usages": [USAGE]}),
        ("/api/credits-process/end", {**feature, **USAGE}),
        ("/api/usage", {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"}),
        ("/api/wallets/ada/debits", {"credits": 5, "service": "support"}),
    ]
    answers = [
        await gateway.post(path, {**body, "organization_id": named})
        for path, body in calls
        for named in ("typo", "acme")
    ]

    assert [(a.status, a.error["code"], a.error["param"]) for a in answers] == [
        (404, "unknown_organization", "organization_id"),
        (403, "not_a_member", "organization_id"),
    ] * len(calls)
    assert (await gateway.get("/api/wallets/org:acme")).data["held"] == 0
