"""The audit log: every administrative and money action, staff's reads of personal data, nothing else, for ever."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from faregate.core.audit import AuditLog
from support.apps import Gateway, open_gateway, settings_for
from support.people import SECRET, bearer


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, jwt_secret=SECRET)) as gateway:
        yield gateway


async def entries(gateway: Gateway, query: str = "") -> Any:
    return (await gateway.get(f"/api/audit{query}")).data


async def test_a_deed_tells_who_what_whom_where_and_which_request(gateway: Gateway) -> None:
    headers = {**bearer("root", role="admin"), "x-request-id": "req-1"}
    body = {"credits": 5, "source": "bonus"}
    await gateway.call("POST", "/api/wallets/ada/grants", body, headers=headers)
    (entry,) = await entries(gateway)

    assert (entry["actor"], entry["actor_user_id"], entry["action"], entry["owner_id"]) == (
        "user",
        "root",
        "wallets.add_grant",
        "ada",
    )
    assert (entry["status"], entry["request_id"], entry["address"]) == (201, "req-1", "127.0.0.1")
    assert (entry["before_hash"], len(str(entry["after_hash"]))) == (None, 64)


async def test_the_hashes_tell_whether_something_changed(gateway: Gateway) -> None:
    for credits in (1, 1, 2):
        await gateway.feature("f", strategy="fixed", parameters={"credits": credits})
    await gateway.call("DELETE", "/api/features/f")
    deleted, changed, repeated, made = await entries(gateway)

    assert made["before_hash"] is None
    assert made["after_hash"] == repeated["before_hash"] == repeated["after_hash"] == changed["before_hash"]
    assert changed["after_hash"] not in {None, changed["before_hash"]}
    assert (deleted["before_hash"], deleted["after_hash"]) == (changed["after_hash"], None)
    assert made["target"] == {"key": "f"}


async def test_refused_and_daily_work_is_not_noted(gateway: Gateway) -> None:
    await gateway.post("/api/wallets/ada/grants", {"credits": -1, "source": "bonus"})
    await gateway.start("ada", "nothing")
    await gateway.get("/api/wallets/ada")

    assert await entries(gateway) == []


async def test_staff_reading_somebody_is_noted_and_people_reading_themselves_are_not(gateway: Gateway) -> None:
    await gateway.grant("ada", 1)
    for sub, role in (("root", "admin"), ("ann", "analyst"), ("ada", "user"), ("ada", "admin")):
        await gateway.call("GET", "/api/wallets/ada", headers=bearer(sub, role=role))
    await gateway.call("GET", "/api/usage?user_id=ada", headers=bearer("root", role="admin"))

    found = await entries(gateway, "?action=wallets.get_wallet")
    assert [(e["actor_user_id"], e["owner_id"]) for e in found] == [("ann", "ada"), ("root", "ada")]
    assert len(await entries(gateway, "?action=usage.*&actor_user_id=root")) == 1


async def test_no_deed_without_its_entry(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(AuditLog, "add", broken)
        failed = await gateway.post("/api/wallets/ada/grants", {"credits": 5, "source": "bonus"})

    assert (failed.status, (await gateway.get("/api/wallets/ada")).status) == (500, 404)


@pytest.mark.parametrize("sql", ["update faregate.audit_entry set actor = 'me'", "delete from faregate.audit_entry"])
async def test_the_database_refuses_to_change_the_past(gateway: Gateway, sql: str) -> None:
    await gateway.grant("ada", 1)
    with pytest.raises(DBAPIError, match="append-only"):
        async with gateway.database.transaction() as session:
            await gateway.database.rows(session, sql)


async def test_search_pages_and_filters(gateway: Gateway) -> None:
    for number in range(5):
        await gateway.grant(f"user-{number % 2}", 1)
    first = await gateway.get("/api/audit?limit=3&action=wallets.*")
    rest = await gateway.get(f"/api/audit?limit=3&action=wallets.*&cursor={first.body['meta']['next_cursor']}")

    assert (len(first.data), len(rest.data), rest.body["meta"]["next_cursor"]) == (3, 2, None)
    assert len(await entries(gateway, "?owner_id=user-1")) == 2
    assert len(await entries(gateway, "?actor=bootstrap&to=2020-01-01T00:00:00Z")) == 0
