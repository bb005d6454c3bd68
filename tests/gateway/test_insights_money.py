"""Returns, savings, what-if calculations, budgets and feedback over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.apps import Gateway, open_gateway, settings_for
from support.people import SECRET, bearer

YESTERDAY = datetime.now(UTC) - timedelta(days=1)
EVIDENCE = {"method", "sample", "sampled", "start", "end", "uncertainty", "limits"}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, late_event_days=3650, jwt_secret=SECRET)) as gateway:
        await gateway.feature("ai_chat_v1", strategy="token_priced")
        yield gateway


async def use(gateway: Gateway, count: int, user: str = "ada") -> None:
    """Settle uses, as if yesterday."""
    await gateway.grant(user, 1000)
    for n in range(count):
        usage = {"ai_model": "gpt-4o", "input_tokens": 2000, "output_tokens": 100}
        body = {"user_id": user, "feature_endpoint_id": "ai_chat_v1", "usage_key": f"{user}-{n}", "usages": [usage]}
        assert (await gateway.post("/api/credits-process/end-multimodel", body)).status == 200
    day = timedelta(days=1)
    async with gateway.database.transaction() as session:
        for table, column in (("usage_line", "settled_at"), ("charge", "created_at"), ("usage_event", "time")):
            sql = f"update faregate.{table} set {column} = {column} - cast(:day as interval) returning 1"
            await gateway.database.rows(session, sql, day=day)


async def test_returns_savings_and_what_if_answer_with_evidence_and_exact_amounts(gateway: Gateway) -> None:
    await use(gateway, 30)

    returns = (await gateway.get("/api/analytics/returns?by=user")).data
    savings = (await gateway.get("/api/analytics/savings")).data
    body = {"margins": [{"marginPercent": 44}], "startDate": f"{YESTERDAY - timedelta(days=1):%Y-%m-%d}"}
    what_if = (await gateway.post("/api/analytics/what-if", body)).data

    for answer in (returns, savings, what_if):
        assert answer["enough"] is True
        assert set(answer["evidence"]) == EVIDENCE
    (ada,) = returns["people"]
    assert (ada["userId"], str(ada["costUsd"]), str(ada["returnUsd"])) == ("ada", "0.18", "0.036")
    assert {hint["kind"] for hint in savings["hints"]} >= {"cheaper_model", "cacheable_input"}
    assert [str(what_if[side]["credits"]) for side in ("before", "after")] == ["21.6", "25.92"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "margins"),
        ({"margins": [{"marginPercent": 10, "plan": "gold"}]}, 422, "margins"),
        ({"prices": [{"model": "m", "prices": {"input_mtoks": 1}}]}, 422, "prices"),
        ({"creditPriceUsd": 0}, 422, "creditPriceUsd"),
    ],
)
async def test_a_proposal_that_cannot_be_computed_is_refused(
    gateway: Gateway, body: dict[str, Any], status: int, param: str
) -> None:
    refused = await gateway.post("/api/analytics/what-if", body)
    assert (refused.status, refused.error["param"]) == (status, param)


async def test_a_budget_is_declared_shown_and_deleted(gateway: Gateway) -> None:
    await use(gateway, 2)
    put = await gateway.put(
        "/api/budgets/chat", {"scope": "feature", "value": "ai_chat_v1", "amount": 1, "period": "year"}
    )

    assert put.status == 200, put.body
    assert (str(put.data["used"]), str(put.data["percent"]), put.data["level"]) == ("1.44", "144", "exceeded")
    assert put.data["outlook"] is None
    assert set(put.data["evidence"]) == EVIDENCE
    (listed,) = (await gateway.get("/api/budgets")).data
    assert listed["name"] == "chat"
    assert (await gateway.put("/api/budgets/x", {"scope": "feature", "value": "nope", "amount": 1})).status == 422
    assert (await gateway.call("DELETE", "/api/budgets/chat")).status == 200
    assert (await gateway.get("/api/budgets/chat")).status == 404


async def test_people_rate_their_own_uses_and_servers_any(gateway: Gateway) -> None:
    await use(gateway, 2)
    ada, bob = bearer("ada"), bearer("bob")
    body = {"usage_key": "ada-0", "score": 2, "tags": ["slow"], "text": "call me at ada@example.com"}

    mine = await gateway.call("POST", "/api/feedback", body, headers=ada)
    again = await gateway.call("POST", "/api/feedback", {**body, "score": 3}, headers=ada)
    others = await gateway.call("POST", "/api/feedback", body, headers=bob)
    never = await gateway.call("POST", "/api/feedback", {**body, "usage_key": "never"}, headers=bob)
    posing = await gateway.call("POST", "/api/feedback", {**body, "user_id": "ada"}, headers=bob)
    server = await gateway.post("/api/feedback", {"usage_key": "ada-1", "score": 5, "user_id": "ada"})
    mistaken = await gateway.post("/api/feedback", {"usage_key": "ada-1", "score": 5, "user_id": "bob"})

    assert (mine.status, mine.data["score"], again.data["score"]) == (201, 2, 3)
    assert "ada@example.com" not in mine.data["text"]
    assert (others.status, others.error["code"]) == (404, "unknown_usage_key") == (never.status, never.error["code"])
    assert posing.status == 403
    assert (server.status, mistaken.status, mistaken.error["code"]) == (201, 409, "hold_mismatch")
    listed = (await gateway.get("/api/feedback?limit=1")).body
    assert len(listed["data"]) == 1
    rest = (await gateway.get(f"/api/feedback?limit=1&cursor={listed['meta']['next_cursor']}")).data
    assert {listed["data"][0]["usage_key"], rest[0]["usage_key"]} == {"ada-0", "ada-1"}
    assert (await gateway.call("GET", "/api/feedback", headers=ada)).status == 403


async def test_an_erasure_and_an_export_reach_feedback_and_returns(gateway: Gateway) -> None:
    await use(gateway, 1)
    await use(gateway, 1, "someone-7")
    await gateway.post(
        "/api/feedback", {"usage_key": "ada-0", "score": 1, "text": "unlike someone-7", "tags": ["someone-7"]}
    )
    await gateway.post("/api/feedback", {"usage_key": "someone-7-0", "score": 5, "text": "mine"})
    assert len((await gateway.get("/api/analytics/returns?by=user")).data["people"]) == 2

    exported = (
        await gateway.http.get("/api/privacy/export?user_id=someone-7", headers={"x-server-api-key": gateway.key})
    ).text
    await gateway.post("/api/privacy/erase", {"user_id": "someone-7"})

    assert '"mine"' in exported
    (left,) = (await gateway.get("/api/feedback")).data
    assert (left["usage_key"], left["text"], left["tags"]) == ("ada-0", "unlike [erased]", [])
    assert [each["userId"] for each in (await gateway.get("/api/analytics/returns?by=user")).data["people"]] == ["ada"]


async def test_satisfaction_is_an_answer_also_with_too_little_feedback(gateway: Gateway) -> None:
    answer = (await gateway.get("/api/analytics/satisfaction?by=model")).data

    assert (answer["enough"], answer["groups"]) == (False, [])
    assert (await gateway.get("/api/analytics/satisfaction?country=DE")).error["param"] == "country"
