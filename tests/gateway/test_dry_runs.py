"""Dry runs of everything that an operator changes: the answer of the call, and nothing changed."""

from collections.abc import AsyncIterator

import pytest

from support.apps import Gateway, open_gateway, settings_for

DRY = {"x-faregate-dry-run": "true"}
HOOK = {"url": "https://93.184.215.14/hooks", "events": ["credits.low"]}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url)) as gateway:
        yield gateway


async def rehearsed(gateway: Gateway, method: str, path: str, body: object = None) -> dict[str, object]:
    answer = await gateway.call(method, path, body, headers=DRY)
    assert (answer.status < 300, answer.headers["x-faregate-dry-run"]) == (True, "true"), (path, answer.body)
    return dict(answer.data)


async def test_a_dry_run_of_keys_shows_the_key_without_its_secret_and_makes_none(gateway: Gateway) -> None:
    body = {"name": "desk", "scopes": ["wallets:read"]}
    made = (await gateway.post("/api/keys", body)).data
    path = f"/api/keys/{made['key_id']}"
    new = await rehearsed(gateway, "POST", "/api/keys", {**body, "name": "other"})
    rotated = await rehearsed(gateway, "POST", f"{path}/rotate", {"overlap_seconds": 60})
    revoked = await rehearsed(gateway, "DELETE", path)

    assert (new["name"], new["key"], rotated["key"]) == ("other", None, None)
    assert revoked["revoked_at"] is not None
    assert [(key["name"], key["revoked_at"]) for key in (await gateway.get("/api/keys")).data] == [("desk", None)]


async def test_a_dry_run_of_webhooks_changes_and_sends_nothing(gateway: Gateway) -> None:
    made = (await gateway.post("/api/webhooks", HOOK)).data
    path = f"/api/webhooks/{made['id']}"
    new = await rehearsed(gateway, "POST", "/api/webhooks", HOOK)
    changed = await rehearsed(gateway, "PUT", path, {**HOOK, "enabled": False})
    rotated = await rehearsed(gateway, "POST", f"{path}/rotate", {"overlap_seconds": 60})
    deleted = await rehearsed(gateway, "DELETE", path)
    replayed = await rehearsed(gateway, "POST", f"{path}/replay", {"since": "2026-01-01T00:00:00Z"})

    assert (new["secret"], rotated["secret"], replayed["replayed"]) == (None, None, 0)
    assert changed["disabled_at"] is not None
    assert deleted["id"] == made["id"]
    assert [(each["id"], each["disabled_at"]) for each in (await gateway.get("/api/webhooks")).data] == [
        (made["id"], None)
    ]


async def test_a_dry_run_of_limits_and_holds_moves_nothing(gateway: Gateway) -> None:
    await gateway.feature("chat", name="Chat")
    await gateway.grant("ada", 10)
    await gateway.put("/api/organizations/acme", {"policy": "pooled", "join": ["bela"]})
    await gateway.start("ada", "chat", usage_key="one", estimated_credits=2)
    limits = {"limits": [{"period": "day", "soft": 1, "hard": 2}]}
    user = await gateway.call("PUT", "/api/wallets/ada/limits", limits, headers=DRY)
    member = await gateway.call("PUT", "/api/organizations/acme/limits", {**limits, "member": "bela"}, headers=DRY)
    voided = await rehearsed(gateway, "POST", "/api/credits-process/void", {"user_id": "ada", "usage_key": "one"})

    assert [each["hard"] for each in user.data + member.data] == [2, 2]
    assert voided["credits"] == 10
    assert (await gateway.get("/api/wallets/ada/limits")).data == []
    assert (await gateway.get("/api/organizations/acme/limits")).data == []
    assert [hold["usage_key"] for hold in (await gateway.get("/api/holds")).data] == ["one"]


async def test_a_dry_run_of_meters_and_segments_declares_nothing(gateway: Gateway) -> None:
    meter = {"unit": "page", "aggregation": "sum"}
    before = (await gateway.get("/api/meters")).data
    declared = await rehearsed(gateway, "PUT", "/api/meters/pages", meter)
    rule = {"conditions": [{"field": "credits", "op": ">=", "value": 100}]}
    segment = await rehearsed(gateway, "PUT", "/api/analytics/segments/rules/vip", rule)

    assert (declared["unit"], segment["name"]) == ("page", "vip")
    assert (await gateway.get("/api/meters")).data == before
    assert (await gateway.get("/api/analytics/segments/rules")).data == []


async def test_a_dry_run_counts_the_dead_letters_that_are_still_there(gateway: Gateway) -> None:
    async with gateway.database.transaction() as session:
        sql = """insert into faregate.message (message_id, queue, body, dead_at, dead_reason)
          select gen_random_uuid(), 'usage_events_queue', '{}', now(), 'test' from generate_series(1, 2)"""
        await gateway.database.rows(session, sql)
    ids = [letter["id"] for letter in (await gateway.get("/api/dead-letters")).data]
    for deed in ("replay", "drop"):
        one = await rehearsed(gateway, "POST", f"/api/dead-letters/{deed}", {"ids": [ids[0], "gone"]})
        all_of = await rehearsed(gateway, "POST", f"/api/dead-letters/{deed}", {"queue": "usage_events_queue"})
        assert (one["count"], all_of["count"]) == (1, 2)

    assert [letter["id"] for letter in (await gateway.get("/api/dead-letters")).data] == ids
