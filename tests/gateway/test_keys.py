"""API keys: shown once, scoped, expiring, rotated without a gap, revoked in every process within a second."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from support.apps import KEY, Answer, Gateway, open_gateway, settings_for
from support.gateways import start_gateway

WANTED = {"name": "shop", "scopes": ["wallets:read", "credits:process"]}


async def make(gateway: Gateway, **more: Any) -> Any:
    answer = await gateway.post("/api/keys", {**WANTED, **more})
    assert answer.status == 201, answer.body
    return answer.data


async def as_key(gateway: Gateway, key: str, path: str = "/api/wallets/nobody") -> Answer:
    return await gateway.call("GET", path, headers={"x-server-api-key": key})


async def until_refused(gateway: Gateway, key: str) -> None:
    async with asyncio.timeout(30):
        while (await as_key(gateway, key)).status != 401:
            await asyncio.sleep(0.02)


async def test_a_key_is_shown_once_and_stored_as_a_hash(gateway: Gateway) -> None:
    made = await make(gateway)
    listed = (await gateway.get("/api/keys")).data
    async with gateway.database.transaction() as session:
        rows = await gateway.database.rows(session, "select row_to_json(k)::text as line from faregate.api_key k")

    assert made["key"].startswith(f"fg_live_{made['key_id']}_")
    assert "key" not in listed[0]
    assert made["key"].split("_")[3][:43] not in rows[0].line
    assert (await as_key(gateway, made["key"])).status == 404
    bearer = {"x-server-api-key": "", "authorization": f"Bearer {made['key']}"}
    assert (await gateway.call("GET", "/api/wallets/nobody", headers=bearer)).status == 404


async def test_a_replayed_creation_does_not_hold_the_secret(gateway: Gateway) -> None:
    first, again = [await gateway.post("/api/keys", WANTED, idempotency_key="k") for _ in range(2)]

    assert (again.status, again.data["key_id"], again.data["key"]) == (201, first.data["key_id"], None)


async def test_a_key_may_do_what_its_scopes_say_and_no_more(gateway: Gateway) -> None:
    key = (await make(gateway))["key"]
    refused = await as_key(gateway, key, "/api/usage")

    assert (refused.status, refused.error["code"], refused.error["scope"]) == (403, "scope_missing", "usage:read")


async def test_a_key_cannot_get_scopes_that_the_caller_lacks(gateway: Gateway) -> None:
    clerk = (await make(gateway, scopes=["keys:admin", "usage:read"]))["key"]
    headers = {"x-server-api-key": clerk}
    refused = await gateway.call("POST", "/api/keys", WANTED, headers=headers)
    allowed = await gateway.call("POST", "/api/keys", {**WANTED, "scopes": ["usage:read"]}, headers=headers)
    strong = (await make(gateway))["key_id"]
    stolen = await gateway.call("POST", f"/api/keys/{strong}/rotate", {}, headers=headers)

    assert (refused.status, allowed.status, stolen.status) == (403, 201, 403)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": ""}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"environment": "prod"}, "environment"),
        ({"allowed_ips": ["300.1.1.1"]}, "allowed_ips"),
        ({"allowed_ips": ["10.0.0.1/8"]}, "allowed_ips"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"spend_cap": {"credits": 0}}, "spend_cap.credits"),
    ],
)
async def test_an_invalid_key_is_refused_by_field(gateway: Gateway, body: Any, param: str) -> None:
    refused = await gateway.post("/api/keys", {**WANTED, **body})

    assert (refused.status, refused.error["param"]) == (422, param)


async def test_a_key_ends_when_it_expires(gateway: Gateway) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    key = (await make(gateway, expires_at=soon.isoformat()))["key"]
    before = await as_key(gateway, key)
    await until_refused(gateway, key)

    assert before.status == 404
    assert datetime.now(UTC) >= soon


async def test_a_revocation_reaches_other_processes_within_a_second(gateway: Gateway, database_url: str) -> None:
    """The best of three attempts, because a busy machine may delay one of them."""
    async with open_gateway(settings_for(database_url)) as other:
        seconds = [await _seconds_until_refused(gateway, other)]
        while min(seconds) >= 1 and len(seconds) < 3:
            seconds.append(await _seconds_until_refused(gateway, other))

    assert min(seconds) < 1


async def _seconds_until_refused(gateway: Gateway, other: Gateway) -> float:
    """Revoke a key in one process; return how long another process still accepts it."""
    made = await make(gateway)
    before = await as_key(other, made["key"])
    await gateway.call("DELETE", f"/api/keys/{made['key_id']}")
    here = await as_key(gateway, made["key"])
    began = time.monotonic()
    while (await as_key(other, made["key"])).status != 401:
        assert time.monotonic() - began < 30
        await asyncio.sleep(0.02)
    assert (before.status, here.status) == (404, 401)
    return time.monotonic() - began


async def test_a_revocation_reaches_another_process_of_the_same_database(database_url: str) -> None:
    """Two gateways in separate processes, called over their sockets."""
    (one, here), (two, there) = await asyncio.gather(*(start_gateway(database_url) for _ in range(2)))
    async with httpx2.AsyncClient(timeout=20) as http:
        admin = {"x-server-api-key": KEY}
        body = {"name": "shop", "scopes": ["wallets:read"]}
        made = (await http.post(f"{here}/api/keys", json=body, headers=admin)).json()["data"]
        shop = {"x-server-api-key": made["key"]}

        async def status() -> int:
            return (await http.get(f"{there}/api/wallets/ada", headers=shop)).status_code

        before = [await status() for _ in range(3)]
        assert (await http.delete(f"{here}/api/keys/{made['key_id']}", headers=admin)).status_code == 200
        async with asyncio.timeout(30):
            while await status() != 401:
                await asyncio.sleep(0.02)
        after = [await status() for _ in range(3)]
    for process in (one, two):
        process.terminate()
    await asyncio.gather(one.wait(), two.wait())

    assert (before, after) == ([404] * 3, [401] * 3)


async def test_two_keys_of_one_client_live_during_a_rotation(gateway: Gateway) -> None:
    old = await make(gateway, spend_cap={"credits": 50, "period": "day"})
    path = f"/api/keys/{old['key_id']}/rotate"
    new = (await gateway.post(path, {"overlap_seconds": 1})).data
    third = await gateway.post(f"/api/keys/{new['key_id']}/rotate", {})
    both = [(await as_key(gateway, key["key"])).status for key in (old, new)]
    await until_refused(gateway, old["key"])
    after = [(await as_key(gateway, key["key"])).status for key in (old, new)]

    assert (both, after) == ([404, 404], [401, 404])
    assert (third.status, third.error["code"]) == (409, "too_many_keys")
    assert (new["client"], new["scopes"]) == (old["key_id"], sorted(WANTED["scopes"]))
    assert [cap["credits"] for cap in new["spend_caps"]] == [50]
    assert (await gateway.post(path, {})).status == 409


async def test_a_key_is_valid_only_from_its_addresses(gateway: Gateway) -> None:
    key = (await make(gateway, allowed_ips=["203.0.113.0/24", "2001:db8::/32"]))["key"]

    async def status(address: str) -> int:
        transport = httpx2.ASGITransport(gateway.app, client=(address, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as http:
            return (await http.get("/api/wallets/nobody", headers={"x-server-api-key": key})).status_code

    found = [await status(a) for a in ("203.0.113.9", "::ffff:203.0.113.9", "2001:db8::1", "203.0.114.9", "::1")]
    assert found == [404, 404, 404, 401, 401]


async def test_the_last_use_is_recorded(gateway: Gateway) -> None:
    made = await make(gateway)
    await as_key(gateway, made["key"])
    await gateway.container.keys().flush()

    assert (await gateway.get(f"/api/keys/{made['key_id']}")).data["last_used_at"] is not None


async def test_a_spend_cap_stops_only_its_key(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faregate.core.db.versioned_cache._CHECK_SECONDS", 0)
    await gateway.grant("ada", 100)
    await gateway.feature("chat", min_credits=6)
    key = (await make(gateway, spend_cap={"credits": 10}))["key"]
    body = {"user_id": "ada", "feature_endpoint_value": "chat"}
    headers = {"x-server-api-key": key}
    first, second = [await gateway.call("POST", "/api/credits-process/start", body, headers=headers) for _ in range(2)]

    assert (first.status, second.status) == (200, 402)
    assert second.error["code"] != "insufficient_credits"
    assert (await gateway.start("ada", "chat")).status == 200


async def test_a_known_id_with_a_wrong_secret_gets_the_same_error_as_an_unknown_key(gateway: Gateway) -> None:
    from faregate.core.access.key_format import Key, new_key

    made = await make(gateway)
    forged = str(Key("live", made["key_id"], new_key("live").secret))
    answers = [await as_key(gateway, key) for key in (forged, str(new_key("live")), made["key"][:-1], "fg_x")]

    assert {a.status for a in answers} == {401}
    assert len({a.error["detail"] for a in answers}) == 1
