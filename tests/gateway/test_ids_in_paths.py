"""Ids with `|`, `+`, `/` and `=` in the paths of all routes."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import httpx2
import pytest

from faregate.gateway.http.operation import Operation, operations_of
from faregate.wire.ids import EXTERNAL_ID_PATTERN
from support.apps import KEY, Gateway, open_gateway, settings_for
from support.gateways import start_gateway
from support.people import SECRET, bearer

ODD = ["auth0|5f7c8ec7c33c6c004bbafe82", "google-oauth2|1", "ada+test@x.de", "a/b", "/a=", "a//b"]
"""Ids of identity providers, e-mail addresses with tags, and every new character at the beginning, the middle and the end."""

REPORT = {"kind": "daily", "recipients": ["ops@example.com"]}

ANSWERS: Mapping[str, tuple[Any, int, str]] = {
    "GET /api/credits-process/{usage_key}": (None, 200, "usage_key"),
    "GET /api/usage/{usage_key}": (None, 200, "usage_key"),
    "GET /api/features/{key}": (None, 200, "key"),
    "PUT /api/features/{key}": ({"strategy": "free"}, 200, "key"),
    "DELETE /api/features/{key}": (None, 200, "key"),
    "GET /api/plans/{key}": (None, 200, "key"),
    "PUT /api/plans/{key}": ({"name": "plan"}, 200, "key"),
    "DELETE /api/plans/{key}": (None, 200, "key"),
    "GET /api/leases/{lease_id}": (None, 200, "lease_id"),
    "POST /api/leases/{lease_id}/renew": ({"credits": 2}, 200, "lease_id"),
    "POST /api/leases/{lease_id}/report": ({"uses": []}, 200, "lease_id"),
    "POST /api/leases/{lease_id}/release": (None, 200, "lease_id"),
    "PUT /api/ingest-rules/{name}": ({"forms": ["cloud_event"], "action": "ignore"}, 200, "name"),
    "GET /api/ingest-rules/{name}": (None, 200, "name"),
    "DELETE /api/ingest-rules/{name}": (None, 200, ""),
    "PUT /api/budgets/{name}": ({"scope": "business", "amount": 1, "period": "month"}, 200, "name"),
    "GET /api/budgets/{name}": (None, 200, "name"),
    "DELETE /api/budgets/{name}": (None, 200, ""),
    "PUT /api/reports/{name}": (REPORT, 200, "name"),
    "GET /api/reports/{name}": (None, 200, "name"),
    "GET /api/reports/{name}/preview": (None, 200, ""),
    "GET /api/reports/{name}/page": (None, 200, ""),
    "GET /api/reports/{name}/file": (None, 200, ""),
    "GET /api/reports/{name}/deliveries": (None, 200, ""),
    "POST /api/reports/{name}/test": ({"address": "me@example.com"}, 201, "report"),
    "POST /api/reports/{name}/resume": ({}, 200, "name"),
    "DELETE /api/reports/{name}": (None, 200, "name"),
    "PUT /api/analytics/segments/rules/{name}": (
        {"conditions": [{"field": "credits", "op": ">=", "value": 5}]},
        200,
        "name",
    ),
    "DELETE /api/analytics/segments/rules/{name}": (None, 200, ""),
    "PUT /api/objectives/{name}": ({"indicator": "availability", "targetPercent": 99}, 200, "name"),
    "GET /api/objectives/{name}": (None, 200, "name"),
    "DELETE /api/objectives/{name}": (None, 200, "name"),
    "GET /api/organizations/{organization_id}": (None, 200, "organization_id"),
    "PUT /api/organizations/{organization_id}": ({"join": []}, 200, "organization_id"),
    "PUT /api/organizations/{organization_id}/limits": (
        {"member": "ada", "limits": [{"hard": 5, "period": "month"}]},
        200,
        "",
    ),
    "GET /api/organizations/{organization_id}/limits": (None, 200, ""),
    "GET /api/wallets/{owner_id}": (None, 200, "owner_id"),
    "PUT /api/wallets/{owner_id}": ({"credit_limit": 5}, 200, "owner_id"),
    "GET /api/wallets/{owner_id}/transactions": (None, 200, ""),
    "GET /api/wallets/{owner_id}/grants": (None, 200, ""),
    "POST /api/wallets/{owner_id}/grants": ({"credits": 5, "source": "purchase"}, 201, ""),
    "POST /api/wallets/{owner_id}/grants/{grant_id}/void": ({"reason": "a test"}, 200, ""),
    "POST /api/wallets/{owner_id}/grants/{grant_id}/payments": ({"paid_usd": 5}, 201, "owner_id"),
    "GET /api/ledger/closes/{period}": (None, 200, ""),
    "GET /api/ledger/closes/{period}/wallets": (None, 200, ""),
    "GET /api/ledger/closes/{period}/wallets/{owner_id}": (None, 200, "owner_id"),
    "GET /api/ledger/closes/{period}/journal": (None, 200, ""),
    "GET /api/ledger/closes/{period}/late": (None, 200, ""),
    "POST /api/wallets/{owner_id}/adjustments": ({"credits": 5, "reason": "a test"}, 201, ""),
    "POST /api/wallets/{owner_id}/debits": ({"credits": 1, "service": "chat"}, 201, "user_id"),
    "GET /api/wallets/{owner_id}/balance": (None, 200, "owner_id"),
    "GET /api/wallets/{owner_id}/statement": (None, 200, "owner_id"),
    "GET /api/wallets/{owner_id}/limits": (None, 200, ""),
    "PUT /api/wallets/{owner_id}/limits": ({"limits": [{"hard": 5, "period": "month"}]}, 200, ""),
}
"""For each call: its body, the status, and the member of `data` that repeats the id."""

QUERIES = {
    "/api/wallets/{owner_id}/statement": "?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z",
    "/api/wallets/{owner_id}/balance": "?at=2099-01-01T00:00:00Z",
}

CLOSED = "2026-01"
"""A closed month."""

MADE_HERE = {"dead-letters", "keys", "portal", "transactions", "webhooks"}
"""Objects whose ids are not chosen by callers; `/api/portal` answers to a link's token only (`test_portal`)."""


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, jwt_secret=SECRET)) as gateway:
        yield gateway


def _with_ids(gateway: Gateway) -> dict[str, Operation]:
    """Return the operations whose path holds an id of callers."""
    found = [operation for controller in gateway.container.controllers() for operation, _ in operations_of(controller)]
    return {f"{each.method} {each.path}": each for each in found if _names_ids(each) and each.tag not in MADE_HERE}


def _names_ids(operation: Operation) -> bool:
    return any(
        getattr(part, "pattern", None) == EXTERNAL_ID_PATTERN
        for kind in operation.path_parameters.values()
        for outer in get_args(kind)
        for part in (outer, *getattr(outer, "metadata", ()))
    )


async def _prepare(gateway: Gateway, name: str) -> str:
    """Make a wallet, a use, a feature, a plan and an organisation of this name; return the id of a grant."""
    path = quote(name, safe="")
    granted = await gateway.post(f"/api/wallets/{path}/grants", {"credits": 100, "source": "purchase"})
    assert granted.status == 201, granted.body
    for place, body in (
        (f"/api/features/{path}", {"strategy": "free"}),
        (f"/api/plans/{path}", {"name": "plan"}),
        (f"/api/organizations/{path}", {"join": []}),
        (f"/api/objectives/{path}", {"indicator": "availability", "targetPercent": 99}),
        (f"/api/ingest-rules/{path}", {"forms": ["cloud_event"], "action": "ignore"}),
        (f"/api/budgets/{path}", {"scope": "business", "amount": 1, "period": "month"}),
        (f"/api/reports/{path}", REPORT),
    ):
        assert (await gateway.put(place, body)).status == 200
    taken = await gateway.post(
        "/api/leases", {"user_id": name, "feature_endpoint_id": name, "lease_id": f"{name}-lease", "credits": 1}
    )
    assert taken.status == 201, taken.body
    started = await gateway.post(
        "/api/credits-process/start", {"user_id": name, "feature_endpoint_id": name, "usage_key": name}
    )
    assert (started.status, started.data["usage_key"]) == (200, name)
    assert (await gateway.post("/api/ledger/closes", {"period": CLOSED})).status == 201
    return str(granted.data["grant"]["id"])


async def test_the_table_names_every_route_with_an_id(gateway: Gateway) -> None:
    assert set(_with_ids(gateway)) == set(ANSWERS)


async def test_every_route_takes_the_id_whole(gateway: Gateway) -> None:
    wrong: list[str] = []
    ordered = sorted(_with_ids(gateway).items(), key=lambda item: item[1].method == "DELETE")
    for name in ODD:
        grant = await _prepare(gateway, name)
        for call, operation in ordered:
            body, status, member = ANSWERS[call]
            path = operation.path.replace("{grant_id}", grant).replace("{period}", CLOSED)
            own = f"{name}-lease" if "{lease_id}" in path else name  # a lease and a use share their names
            path = re.sub(r"{\w+}", quote(own, safe=""), path) + QUERIES.get(operation.path, "")
            answer = await gateway.call(operation.method, path, body, raw=bool(operation.produces))
            if answer.status != status or (member and answer.data[member] != own):
                wrong.append(f"{call} of {name!r}: {answer.body}")

    assert "\n".join(wrong) == ""


async def test_an_encoded_slash_is_no_border_between_two_parts_of_a_path(gateway: Gateway) -> None:
    """`/api/wallets/a%2Flimits` is the wallet of `a/limits`, not the limits of `a`; `%2Fme` is not the caller's wallet."""
    for name in ("a/limits", "/me", "me/"):
        await gateway.put(f"/api/wallets/{quote(name, safe='')}", {"credit_limit": 1})
        found = await gateway.get(f"/api/wallets/{quote(name, safe='')}")
        assert (found.status, found.data["owner_id"]) == (200, name)

    assert (await gateway.get("/api/wallets%2Fme")).status == 404
    assert (await gateway.get("/api/wallets/a/b")).status == 404


async def test_a_subject_of_an_identity_provider_sees_own_data_only(gateway: Gateway) -> None:
    for name in ODD:
        await gateway.put(f"/api/wallets/{quote(name, safe='')}", {"credit_limit": 1})
    for name in ODD:
        own = await gateway.call("GET", f"/api/wallets/{quote(name, safe='')}", headers=bearer(name))
        other = await gateway.call("GET", f"/api/wallets/{quote(name, safe='')}", headers=bearer("auth0|other"))
        me = await gateway.call("GET", "/api/wallets/me", headers=bearer(name))
        assert (own.status, other.status, me.data["owner_id"]) == (200, 404, name)


async def test_ids_that_differ_in_one_character_are_different_owners(gateway: Gateway) -> None:
    """Old ids are unchanged: no id is folded, split or decoded into another one."""
    near = ["a-b", "a.b", "a:b", "a_b", "a|b", "a+b", "a/b", "a=b", "a||b", "a"]
    for number, name in enumerate(near, 1):
        granted = await gateway.post(
            f"/api/wallets/{quote(name, safe='')}/grants", {"credits": number, "source": "purchase"}
        )
        assert granted.status == 201
    found = [(await gateway.get(f"/api/wallets/{quote(name, safe='')}")).data["balance"] for name in near]

    assert found == list(range(1, len(near) + 1))


async def test_settlement_organisation_and_quota_take_odd_ids(gateway: Gateway) -> None:
    user, organization, key = "auth0|1", "acme/eu+=", "use/1=|+"
    await gateway.feature("chat", strategy="fixed", parameters={"credits": 2})
    await gateway.put(f"/api/organizations/{quote(organization, safe='')}", {"join": [user], "policy": "pooled"})
    await gateway.grant(f"org:{organization}", 10)
    quota = await gateway.put(
        "/api/quotas", {"owner_id": user, "meter": "credits", "period": "month", "limit": 100, "hard": True}
    )
    assert quota.status in {200, 201}, quota.body
    await gateway.start(user, "chat", usage_key=key, organization_id=organization)
    ended = await gateway.end(user, "chat", usage_key=key, usages=[])

    assert (ended.status, ended.data["charged"], ended.data["credits"]) == (200, 2, 8)
    listed = (await gateway.get(f"/api/usage?user_id={quote(user, safe='')}")).data
    assert [(use["usage_key"], use["organization_id"]) for use in listed] == [(key, organization)]


async def test_the_served_gateway_takes_an_encoded_slash(database_url: str, tmp_path: Path) -> None:
    """Over a socket, where the server decodes the path before the application sees it."""
    process, url = await start_gateway(database_url)
    try:
        async with httpx2.AsyncClient(base_url=url, headers={"x-server-api-key": KEY}) as http:
            made = await http.put("/api/wallets/auth0%7C1%2F2%2B3%3D", json={"credit_limit": 1})
            assert (made.status_code, made.json()["data"]["owner_id"]) == (200, "auth0|1/2+3=")
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)
