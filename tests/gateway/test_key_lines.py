"""Keys made by API keys: each and all together bounded by the maker, in permissions, credits and lifetime."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from faregate.core.access.key_lineage import LINE_LIMIT, LineageKey, lineage_of
from faregate.usage.credits_process.charging import Charging
from faregate.usage.credits_process.spending import scopes_of
from faregate.usage.values import Rule
from support.apps import Answer, Gateway, open_gateway, running_worker, settings_for

SCOPES = ["keys:admin", "credits:process", "wallets:read"]
SOON = datetime(2199, 1, 1, tzinfo=UTC)


async def make(gateway: Gateway, by: Any = None, **more: Any) -> Answer:
    headers = {"x-server-api-key": by["key"]} if by is not None else {}
    return await gateway.call("POST", "/api/keys", {"name": "shop", "scopes": SCOPES, **more}, headers=headers)


async def made(gateway: Gateway, by: Any = None, **more: Any) -> Any:
    answer = await make(gateway, by, **more)
    assert answer.status == 201, answer.body
    return answer.data


async def rotate(gateway: Gateway, key_id: str, by: Any = None, **body: Any) -> Answer:
    headers = {"x-server-api-key": by["key"]} if by is not None else {}
    return await gateway.call("POST", f"/api/keys/{key_id}/rotate", body, headers=headers)


async def status(gateway: Gateway, key: Any) -> int:
    return (await gateway.call("GET", "/api/wallets/nobody", headers={"x-server-api-key": key["key"]})).status


async def start(gateway: Gateway, key: Any, credits: object) -> Answer:
    body = {"user_id": "ada", "feature_endpoint_value": "chat", "estimated_credits": credits}
    return await gateway.call("POST", "/api/credits-process/start", body, headers={"x-server-api-key": key["key"]})


async def end(gateway: Gateway, key: Any, credits: int, usage_key: str, **headers: str) -> Answer:
    body = {"user_id": "ada", "feature_endpoint_value": "chat", "usage_key": usage_key}
    usages = {"usages": [{"ai_model": None, "unit": "call", "quantity": credits}]}
    sent = {"x-server-api-key": key["key"], **headers}
    return await gateway.call("POST", "/api/credits-process/end-multimodel", {**body, **usages}, headers=sent)


async def cap_of(gateway: Gateway, key: Any) -> tuple[Decimal, Decimal]:
    (cap,) = (await gateway.get(f"/api/keys/{key['key_id']}")).data["spend_caps"]
    return cap["spent"], cap["held"]


async def see_limits(gateway: Gateway) -> None:
    """Make the gateway read the kinds of limits again, which it does twice a second."""
    gateway.container.credit.container.ledger_session().limit_kinds.forget()


@pytest.fixture
async def capped(gateway: Gateway) -> Any:
    """A key that may make keys and spend 10 credits in total."""
    await gateway.grant("ada", 1000)
    await gateway.feature("chat", min_credits=1)
    key = await made(gateway, spend_cap={"credits": 10, "period": "total"}, expires_at=SOON.isoformat())
    await see_limits(gateway)
    return key


async def test_credits_spent_by_a_descendant_count_against_every_cap_above_it(gateway: Gateway, capped: Any) -> None:
    """Ten keys made by a key with a cap of ten credits spend ten credits, not a hundred; so do keys made by them."""
    child = await made(gateway, capped, spend_cap={"credits": 8, "period": "total"})
    grandchild = await made(gateway, child)
    sibling = await made(gateway, capped)

    assert (await start(gateway, grandchild, 6)).status == 200
    assert (await start(gateway, child, 3)).status == 402
    assert (await start(gateway, sibling, 5)).status == 402
    assert (await start(gateway, sibling, 4)).status == 200
    assert (await start(gateway, capped, 1)).status == 402
    assert (await cap_of(gateway, child))[1] == 6
    assert (await cap_of(gateway, capped))[1] == 10
    assert grandchild["minted_by"] == child["key_id"]


async def test_two_concurrent_keys_do_not_both_spend_the_last_credits(gateway: Gateway, capped: Any) -> None:
    children = [await made(gateway, capped) for _ in range(4)]
    answers = await asyncio.gather(*(start(gateway, child, 4) for child in children for _ in range(3)))

    assert sorted(answer.status for answer in answers) == [200] * 2 + [402] * 10
    assert (await cap_of(gateway, capped))[1] == 8


async def test_queued_settlements_count_against_every_cap(gateway: Gateway, capped: Any, database_url: str) -> None:
    child = await made(gateway, capped)
    answer = await end(gateway, child, 0, "u-1", prefer="respond-async")
    assert answer.status == 202
    async with running_worker(settings_for(database_url)):
        for _ in range(400):
            if (await cap_of(gateway, capped))[0] > 0:
                break
            await asyncio.sleep(0.02)

    assert (await cap_of(gateway, capped))[0] == 1


async def test_a_rotation_keeps_the_spent_amount(gateway: Gateway, capped: Any) -> None:
    """The keys of one client share one cap: a rotation does not add a second one."""
    await start(gateway, capped, 6)
    new = (await rotate(gateway, capped["key_id"], capped)).data
    refused, last = await start(gateway, new, 5), await start(gateway, new, 4)

    assert [(cap["credits"], cap["held"]) for cap in new["spend_caps"]] == [(10, 6)]
    assert (refused.status, last.status, (await start(gateway, capped, 1)).status) == (402, 200, 402)


@pytest.mark.parametrize(
    ("wish", "param", "told"),
    [
        ({"expires_at": (SOON + timedelta(seconds=1)).isoformat()}, "expires_at", SOON.isoformat()),
        ({"allowed_ips": ["10.0.0.0/7"]}, "allowed_ips", "10.0.0.0/8"),
        ({"allowed_ips": ["10.1.0.0/16", "192.0.2.1"]}, "allowed_ips", "192.0.2.1"),
        ({"allowed_ips": ["2001:db8::/32"]}, "allowed_ips", "10.0.0.0/8"),
        ({"spend_cap": {"credits": 51, "period": "month"}}, "spend_cap", "50"),
        ({"spend_cap": {"credits": 51, "period": "day"}}, "spend_cap", "50"),
        ({"scopes": ["usage:read"]}, "scopes", "usage:read"),
    ],
)
async def test_a_key_cannot_exceed_its_maker(gateway: Gateway, wish: Any, param: str, told: str) -> None:
    """The refusal names the field and the bound."""
    cap = {"credits": 50, "period": "month"}
    allowed = ["10.0.0.0/8", "127.0.0.1"]
    maker = await made(gateway, spend_cap=cap, allowed_ips=allowed, expires_at=SOON.isoformat())
    refused = await make(gateway, maker, **wish)

    assert (refused.status, refused.error["param"]) == (403, param)
    assert told in refused.error["detail"]


async def test_omitted_fields_are_taken_from_the_maker(gateway: Gateway) -> None:
    maker = await made(gateway, allowed_ips=["127.0.0.0/8"], expires_at=SOON.isoformat())
    child = await made(gateway, maker)
    narrower = await made(gateway, maker, allowed_ips=["127.0.0.1"], expires_at=(SOON - timedelta(1)).isoformat())

    assert (child["allowed_ips"], child["expires_at"]) == (maker["allowed_ips"], maker["expires_at"])
    assert narrower["allowed_ips"] == ["127.0.0.1/32"]


async def test_a_longer_period_may_have_a_higher_cap(gateway: Gateway) -> None:
    """A higher cap by month than by day does not exceed the bounds: the cap by day applies, too."""
    maker = await made(gateway, spend_cap={"credits": 5, "period": "day"})
    child = await made(gateway, maker, spend_cap={"credits": 60, "period": "month"})

    assert child["spend_caps"][0]["credits"] == 60


async def test_a_bounded_key_does_not_rotate_a_stronger_one(gateway: Gateway, capped: Any) -> None:
    free = await made(gateway)
    short = await made(gateway, expires_at=(SOON - timedelta(days=1)).isoformat())
    placed = await made(gateway, allowed_ips=["127.0.0.1"])
    other = await made(gateway, spend_cap={"credits": 10, "period": "total"}, expires_at=SOON.isoformat())
    child = await made(gateway, capped)
    tries = [
        await rotate(gateway, target["key_id"], by)
        for target, by in [(free, short), (free, placed), (other, capped), (capped, child), (child, capped)]
    ]

    assert [(t.status, t.body.get("error", {}).get("param")) for t in tries] == [
        (403, "expires_at"),
        (403, "allowed_ips"),
        (403, "key_id"),
        (403, "key_id"),
        (201, None),
    ]


async def test_the_successor_of_a_minted_key_descends_from_the_same_key(gateway: Gateway, capped: Any) -> None:
    child = await made(gateway, capped)
    successor = (await rotate(gateway, child["key_id"])).data
    await start(gateway, successor, 7)

    assert successor["minted_by"] == capped["key_id"]
    assert (await cap_of(gateway, capped))[1] == 7


async def test_revoking_a_key_revokes_all_keys_made_by_it(gateway: Gateway) -> None:
    top = await made(gateway)
    child = await made(gateway, top)
    grandchild = await made(gateway, child)
    rotated = (await rotate(gateway, child["key_id"])).data
    beside = await made(gateway)
    await gateway.call("DELETE", f"/api/keys/{top['key_id']}")
    told = [
        (await gateway.get(f"/api/keys/{key['key_id']}")).data["revoked_at"] for key in (child, grandchild, rotated)
    ]

    assert [await status(gateway, key) for key in (top, child, grandchild, rotated, beside)] == [401] * 4 + [404]
    assert None not in told


async def test_a_key_made_while_its_maker_is_revoked_is_revoked_too(gateway: Gateway) -> None:
    maker = await made(gateway)
    tries = [make(gateway, maker) for _ in range(6)]
    revoked = gateway.call("DELETE", f"/api/keys/{maker['key_id']}")
    answers = await asyncio.gather(*tries[:3], revoked, *tries[3:])
    keys = [answer.data for answer in answers if answer.status == 201]

    assert {answer.status for answer in answers} <= {200, 201, 401, 409}
    assert {await status(gateway, key) for key in keys} <= {401}


async def test_keys_made_by_a_key_survive_its_rotation_and_end_with_its_client(gateway: Gateway) -> None:
    maker = await made(gateway)
    child = await made(gateway, maker)
    successor = (await rotate(gateway, maker["key_id"], overlap_seconds=0)).data
    through = await status(gateway, maker), await status(gateway, child)
    await gateway.call("DELETE", f"/api/keys/{successor['key_id']}")

    assert through == (401, 404)
    assert await status(gateway, child) == 401


async def test_a_line_of_keys_is_bounded(gateway: Gateway) -> None:
    key = await made(gateway)
    for _ in range(LINE_LIMIT - 1):
        key = await made(gateway, key)
    refused = await make(gateway, key)

    assert (refused.status, str(LINE_LIMIT) in refused.error["detail"]) == (403, True)


async def test_keys_of_a_key_share_its_rate(database_url: str) -> None:
    async with open_gateway(settings_for(database_url, rate_limit_key=30)) as gateway:
        maker = await made(gateway)
        children = [await made(gateway, maker) for _ in range(3)]
        answers = [await status(gateway, key) for key in children for _ in range(24)]

    asked = 3 + len(answers)  # none of them alone asked for more than 24 of the 30; a minute may have ended meanwhile
    assert asked - 2 * 30 <= answers.count(429) <= asked - 30


async def test_people_and_the_bootstrap_key_make_keys_without_bounds(gateway: Gateway) -> None:
    key = await made(gateway)

    assert (key["minted_by"], key["expires_at"], key["allowed_ips"], key["spend_caps"]) == (None, None, None, [])


def test_a_key_is_valid_while_each_client_of_its_line_has_a_valid_key() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    past, ahead = now - timedelta(1), now + timedelta(1)
    keys = [
        LineageKey("a", None, past),
        LineageKey("a", None, ahead),
        LineageKey("b", "a", None),
        LineageKey("c", "b", None),
        LineageKey("d", "gone", None),
        LineageKey("x", "y", None),
        LineageKey("y", "x", None),
    ]
    lineage = lineage_of(keys)

    assert lineage.line("c", now) == ("c", "b", "a")
    assert lineage.line("c", ahead) is None
    assert [lineage.line(client, now) for client in ("d", "x", "unknown")] == [None] * 3


def test_a_use_counts_against_each_key_of_its_line_once() -> None:
    from faregate.core.db.subjects import Subject

    owners = {"ada": Subject(7, "ada", None)}
    scopes = scopes_of("ada", Charging(Rule.INDIVIDUAL, "ada", None), owners, spender="key:c key:b key:c")

    assert scopes == ("user:7", "key:key:c", "key:key:b")


async def test_the_caps_of_rotated_keys_become_their_clients(gateway: Gateway) -> None:
    """The migration links keys to the valid keys that made them, and keeps spent and held amounts."""
    from faregate.core.db.migrate import run_alembic, upgrade

    database = gateway.database
    await gateway.grant("ada", 100)
    await gateway.feature("chat", min_credits=1)
    maker = await made(gateway)
    child = await made(gateway, maker)
    rotated = (await rotate(gateway, child["key_id"])).data
    held = await start(gateway, rotated, 3)
    await run_alembic(database, "downgrade", "0019")
    async with database.transaction() as session:
        for key, hard, spent, holds in ((child, 50, 20, 0), (rotated, 60, 7, 3)):
            await database.rows(
                session,
                "insert into faregate.spend_limit (scope, period, hard, started_at, spent, held)"
                " values (:scope, 'total', :hard, '1970-01-01Z', :spent, :held)",
                scope=f"key:key:{key['key_id']}",
                hard=hard * 10**6,
                spent=spent * 10**6,
                held=holds * 10**6,
            )
        await database.rows(
            session,
            "update faregate.charge set limit_scopes = array['user:1', :scope] where usage_key = :key",
            scope=f"key:key:{rotated['key_id']}",
            key=held.data["usage_key"],
        )
    await upgrade(database)
    async with database.transaction() as session:
        limits = await database.rows(session, "select scope, hard, spent, held from faregate.spend_limit")
        charges = await database.rows(session, "select limit_scopes from faregate.charge")
        keys = await database.rows(session, "select key_id, minted_by from faregate.api_key")

    scope = f"key:key:{child['key_id']}"
    assert [tuple(row) for row in limits] == [(scope, 60 * 10**6, 27 * 10**6, 3 * 10**6)]
    assert [row.limit_scopes for row in charges] == [["user:1", scope]]
    assert {row.key_id: row.minted_by for row in keys} == {
        maker["key_id"]: None,
        child["key_id"]: maker["key_id"],
        rotated["key_id"]: maker["key_id"],
    }
