"""Lookups of operators, dry runs, saved views."""

from collections.abc import AsyncIterator
from decimal import Decimal
from uuid import uuid4

import pytest

from faregate.credit.proof.verify import Verifier
from support.apps import Gateway, open_gateway, running_worker, settings_for
from support.people import SECRET, bearer

DRY = {"x-faregate-dry-run": "true"}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, jwt_secret=SECRET)) as gateway:
        yield gateway


async def test_wallets_are_listed_page_by_page_and_found_by_their_beginning(gateway: Gateway) -> None:
    for owner in ("ada", "adam", "bela", "org:acme"):
        await gateway.grant(owner, 3)
    first = await gateway.get("/api/wallets?limit=3")
    second = await gateway.get(f"/api/wallets?limit=3&cursor={first.body['meta']['next_cursor']}")
    found = await gateway.get("/api/wallets?prefix=ada")

    assert [wallet["owner_id"] for wallet in first.data + second.data] == ["ada", "adam", "bela", "org:acme"]
    assert [(wallet["owner_id"], wallet["credits"]) for wallet in found.data] == [("ada", 3), ("adam", 3)]


async def test_open_holds_are_listed_until_they_end(gateway: Gateway) -> None:
    await gateway.feature("chat")
    await gateway.grant("ada", 10)
    for key, seconds in (("late", 900), ("soon", 300)):
        await gateway.start("ada", "chat", usage_key=key, estimated_credits=2, ttl_seconds=seconds)
    await gateway.start("bob", "chat", usage_key="other")
    mine = await gateway.get("/api/holds?user_id=ada&limit=1")
    rest = await gateway.get(f"/api/holds?user_id=ada&limit=1&cursor={mine.body['meta']['next_cursor']}")
    await gateway.post("/api/credits-process/void", {"user_id": "ada", "usage_key": "soon"})

    assert [(hold["usage_key"], hold["credits"]) for hold in mine.data + rest.data] == [("soon", 2), ("late", 2)]
    assert [hold["usage_key"] for hold in (await gateway.get("/api/holds?feature_key=chat&user_id=ada")).data] == [
        "late"
    ]


async def test_a_transaction_names_the_grants_that_paid_it(gateway: Gateway) -> None:
    await gateway.feature("paper", strategy="fixed", parameters={"credits": 5})
    await gateway.grant("ada", 3, source="bonus")
    await gateway.grant("ada", 10)
    use = {"feature_key": "paper", "user_id": "ada", "usage_key": "u"}
    assert (await gateway.post("/api/usage", use)).status == 201
    (charge,) = (await gateway.get("/api/credits-process/u")).data["transactions"]
    found = (await gateway.get(f"/api/transactions/{charge['id']}")).data

    assert {(part["source"], part["credits"]) for part in found["grants"]} == {("bonus", -3), ("purchase", -2)}
    assert (await gateway.get("/api/transactions/1-99")).error["code"] == "unknown_transaction"


async def test_all_grants_of_a_wallet_are_listed_also_used_ones(gateway: Gateway) -> None:
    await gateway.feature("paper", strategy="fixed", parameters={"credits": 5})
    await gateway.grant("ada", 5)
    await gateway.post("/api/usage", {"feature_key": "paper", "user_id": "ada"})

    assert [(g["credits"], g["remaining"]) for g in (await gateway.get("/api/wallets/ada/grants")).data] == [(5, 0)]
    mine = await gateway.call("GET", "/api/wallets/ada/grants", headers=bearer("bob"))
    assert mine.status == 404


async def test_uses_are_found_by_their_model(gateway: Gateway) -> None:
    await gateway.feature("chat")
    await gateway.grant("ada", 10)
    for key, model in (("a", "gpt-4o"), ("b", "openai/gpt-4o"), ("c", "gpt-4o-mini")):
        await gateway.end(
            "ada", "chat", usage_key=key, usages=[{"ai_model": model, "input_tokens": 1, "output_tokens": 1}]
        )

    assert {use["usage_key"] for use in (await gateway.get("/api/usage?model=gpt-4o")).data} == {"a", "b"}


async def test_the_system_shows_workers_jobs_and_queues(database_url: str, gateway: Gateway) -> None:
    async with running_worker(settings_for(database_url)):
        while not (await gateway.get("/api/system")).data["processes"]:
            pass
        found = (await gateway.get("/api/system")).data

    assert found["processes"][0]["role"]
    assert {gauge["name"] for gauge in found["gauges"]} >= {"faregate_queue_messages", "faregate_dead_letters"}


async def test_a_dry_run_answers_as_the_call_would_and_changes_nothing(gateway: Gateway) -> None:
    await gateway.grant("ada", 10)
    await gateway.feature("chat", name="Chat")
    grant, feature = {"credits": 5, "source": "bonus"}, {"name": "Talk", "strategy": "free"}
    for method, path, body in (
        ("POST", "/api/wallets/ada/grants", grant),
        ("POST", "/api/wallets/new/grants", grant),
        ("POST", "/api/wallets/ada/adjustments", {"credits": Decimal("-2.5"), "reason": "test"}),
        ("PUT", "/api/features/chat", feature),
        ("DELETE", "/api/features/chat", None),
        ("PUT", "/api/plans/pro", {"name": "Pro"}),
        ("PUT", "/api/prices/mine", {"prices": {"input_mtok": 1, "output_mtok": 2}}),
        ("PUT", "/api/quotas", {"owner_id": "ada", "meter": "requests", "limit": 5, "period": "day"}),
    ):
        answer = await gateway.call(method, path, body, headers={**DRY, "idempotency-key": path})
        assert (answer.status < 300, answer.headers[next(iter(DRY))]) == (True, "true"), (path, answer.body)

    entries = [entry["action"] for entry in (await gateway.get("/api/audit")).data]
    assert (await gateway.get("/api/wallets/ada")).data["credits"] == 10
    assert (await gateway.get("/api/wallets/new")).status == 404
    assert (await gateway.get("/api/features/chat")).data["name"] == "Chat"
    assert (await gateway.get("/api/plans")).data == (await gateway.get("/api/quotas")).data == []
    assert sorted(entries) == ["features.put_feature", "wallets.add_grant"]
    real = await gateway.post("/api/wallets/ada/grants", grant, idempotency_key="/api/wallets/ada/grants")
    assert (real.status, real.data["credits"]) == (201, 15)
    assert not (await Verifier(gateway.database).verify()).drifts


async def test_a_dry_run_is_refused_as_the_call_would_be_and_where_there_is_none(gateway: Gateway) -> None:
    wrong = await gateway.call("POST", "/api/wallets/ada/grants", {"credits": -5, "source": "bonus"}, headers=DRY)
    none = await gateway.call("POST", "/api/session", headers=DRY)
    start = {"user_id": "ada", "feature_endpoint_value": "chat"}
    money = await gateway.call("POST", "/api/credits-process/start", start, headers=DRY)
    false = {"x-faregate-dry-run": "no"}
    unclear = await gateway.call("POST", "/api/wallets/ada/grants", {"credits": 5, "source": "bonus"}, headers=false)

    assert wrong.status == 422
    assert [answer.error["param"] for answer in (none, money, unclear)] == ["x-faregate-dry-run"] * 3


async def test_views_are_the_owner_s_unless_shared_and_only_the_owner_changes_them(gateway: Gateway) -> None:
    ada, bob = bearer("ada", role="analyst"), bearer("bob", role="admin")
    private, shared = f"/api/views/{uuid4()}", f"/api/views/{uuid4()}"
    state = {"page": "explore", "by": "model", "top": "12"}
    await gateway.call("PUT", private, {"name": "Mine", "state": state}, headers=ada)
    await gateway.call("PUT", shared, {"name": "Ours", "state": state, "shared": True}, headers=ada)

    theirs = (await gateway.call("GET", "/api/views", headers=bob)).data
    taken = [await gateway.call("PUT", path, {"name": "x", "state": {}}, headers=bob) for path in (private, shared)]
    gone = await gateway.call("DELETE", shared, headers=bob)
    mine = (await gateway.call("GET", "/api/views", headers=ada)).data

    assert [(view["name"], view["own"]) for view in theirs] == [("Ours", False)]
    assert [answer.error["code"] for answer in (*taken, gone)] == ["unknown_view"] * 3
    assert [(view["name"], view["own"], view["state"]) for view in mine] == [
        ("Mine", True, state),
        ("Ours", True, state),
    ]
    assert (await gateway.call("DELETE", private, headers=ada)).status == 200
