"""Objectives, incidents with their refunds, and capacity over HTTP; what an erasure leaves of insights."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from faregate.core.db.metadata import metadata
from faregate.core.db.tables import table_names
from faregate.credit.proof.verify import Verifier
from support.apps import Answer, Gateway, open_gateway, settings_for

EVIDENCE = {"method", "sample", "sampled", "start", "end", "uncertainty", "limits"}


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, late_event_days=3650)) as gateway:
        yield gateway


async def record(gateway: Gateway, count: int, *, bad: int = 0, hours: int = 1, user: str = "u") -> None:
    """Record requests of nine users, evenly over the last hours; one in `bad` fails."""
    now = datetime.now(UTC)
    facts: list[dict[str, Any]] = [
        {
            "user_id": f"{user}{n % 9}",
            "service": "chat",
            "time": now - timedelta(hours=hours) * n / count - timedelta(seconds=2),
            "status": 503 if bad and n % bad == 0 else 200,
            "credits": 1,
        }
        for n in range(count)
    ]
    assert (await gateway.container.recorder().record(facts)).rejected == ()


async def use(gateway: Gateway, user: str, *keys: str, failed: bool = False) -> None:
    """Settle uses; with `failed` each also has the log of a failed request."""
    usage = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
    for key in keys:
        assert (await gateway.end(user, "chat", usage_key=key, usages=[usage])).status == 200
        if failed:
            log = {"user_id": user, "usage_key": key, "method": "POST", "code": 502, "status": "failed"}
            logged = await gateway.post("/api/feature-usage-logs", {**log, "feature_endpoint_value": "chat"})
            assert logged.status == 201, logged.body


def span(**more: object) -> str:
    now = datetime.now(UTC)
    given = {"startDate": (now - timedelta(hours=1)).isoformat(), "endDate": (now + timedelta(minutes=1)).isoformat()}
    return "/api/analytics/incident?" + urlencode({**given, **more})


async def test_an_objective_is_declared_measured_and_deleted(gateway: Gateway) -> None:
    await record(gateway, 400, bad=20)
    body = {"indicator": "availability", "targetPercent": Decimal("99.5"), "windowDays": 7}
    put = (await gateway.put("/api/objectives/up", body)).data

    assert (put["total"], put["bad"], put["allowed"], put["used"]) == (400, 20, 2, 10)
    assert [burn["rule"] for burn in put["burns"]] == ["fast", "medium", "slow"]
    assert put["burns"][0]["fires"] is True
    assert set(put["evidence"]) == EVIDENCE
    assert (await gateway.get("/api/objectives")).data == [put]
    assert (await gateway.get("/api/objectives/up")).data == put
    assert (await gateway.call("DELETE", "/api/objectives/up")).status == 200
    assert (await gateway.get("/api/objectives/up")).status == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"indicator": "latency", "targetPercent": 99}, "thresholdMs"),
        ({"indicator": "availability", "targetPercent": 100}, "targetPercent"),
        ({"indicator": "availability", "targetPercent": 99, "scope": "feature", "value": "nope"}, "value"),
        ({"indicator": "availability", "targetPercent": 99, "window": 7}, "window"),
    ],
)
async def test_a_wrong_objective_is_refused_with_the_field(gateway: Gateway, body: dict[str, Any], param: str) -> None:
    refused = await gateway.put("/api/objectives/up", body)
    assert (refused.status, refused.error["param"]) == (422, param)


async def refund(gateway: Gateway, incident: str, *, dry: bool = False, **more: object) -> Answer:
    headers = {"x-faregate-dry-run": "true"} if dry else {}
    body = {"reason": "outage of Tuesday", **more}
    return await gateway.call("POST", f"/api/analytics/incidents/{incident}/refunds", body, headers=headers)


async def test_failed_uses_are_found_by_their_logs_and_given_back_after_a_dry_run(gateway: Gateway) -> None:
    await gateway.feature("chat")
    for user in ("ada", "bob"):
        await gateway.grant(user, 100)
    await use(gateway, "ada", *(f"ok-{n}" for n in range(18)))
    await use(gateway, "ada", "broken-1", failed=True)
    await use(gateway, "bob", "broken-2", "broken-3", failed=True)
    before = {user: (await gateway.get(f"/api/wallets/{user}")).data["balance"] for user in ("ada", "bob")}

    incident = (await gateway.get(span())).data
    assert [(each["userId"], [use["usageKey"] for use in each["uses"]]) for each in incident["people"]] == [
        ("bob", ["broken-2", "broken-3"]),
        ("ada", ["broken-1"]),
    ]
    each = incident["people"][1]["giveBack"]
    assert (incident["giveBack"]["uses"], incident["giveBack"]["credits"]) == (3, 3 * each)
    assert set(incident["evidence"]) == EVIDENCE

    rehearsed = await refund(gateway, incident["id"], dry=True)
    assert (rehearsed.data["refunded"], rehearsed.data["credits"]) == (3, 3 * each)
    assert (await gateway.get("/api/wallets/bob")).data["balance"] == before["bob"]
    done, again = await refund(gateway, incident["id"]), await refund(gateway, incident["id"])

    assert done.data == again.data == rehearsed.data
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == before["ada"] + each
    assert (await gateway.get("/api/wallets/bob")).data["balance"] == before["bob"] + 2 * each
    assert not (await Verifier(gateway.database).verify()).drifts


async def test_refunds_need_a_reason_and_an_incident(gateway: Gateway) -> None:
    unknown = await refund(gateway, "0198c0de-0000-7000-8000-000000000000")
    nameless = await gateway.post("/api/analytics/incidents/0198c0de-0000-7000-8000-000000000000/refunds", {})

    assert (unknown.status, unknown.error["param"]) == (404, "id")
    assert (nameless.status, nameless.error["param"]) == (422, "reason")


@pytest.mark.parametrize(
    ("more", "param"),
    [({"country": "DE"}, "country"), ({"giveBack": "slow"}, "slowerThanMs"), ({"startDate": "soon"}, "startDate")],
)
async def test_a_wrong_incident_is_refused_with_the_field(
    gateway: Gateway, more: dict[str, object], param: str
) -> None:
    refused = await gateway.get(span(**more))
    assert (refused.status, refused.error["param"]) == (422, param)


async def test_capacity_says_when_a_limit_is_reached(gateway: Gateway) -> None:
    await record(gateway, 1800, hours=24 * 45)
    answer = (await gateway.get(f"/api/analytics/capacity?limitBytes={2**40}")).data

    assert answer["enough"] is True
    assert set(answer["evidence"]) == EVIDENCE
    assert answer["bytesPerRequest"] > 0
    assert {table["name"] for table in answer["tables"]} >= {"usage_event"}
    assert answer["full"]["limitBytes"] == 2**40
    assert (await gateway.get("/api/analytics/capacity")).data["full"] is None


KINDS = (
    *("segments", "churn", "adoption", "cohorts", "upsell", "run-outs", "capacity", "anomalies"),
    *("forecast", "forecast?userId=zelda-77", "segments?userId=zelda-77", "run-outs?ownerId=zelda-77"),
)


async def test_after_an_erasure_no_kept_insight_names_the_person(gateway: Gateway) -> None:
    """The user id is looked for in every column of every table of insights, as it would be in a dump."""
    await gateway.feature("chat")
    await gateway.grant("zelda-77", 100)
    await record(gateway, 1200, bad=5, hours=24 * 60)
    await record(gateway, 400, hours=24 * 60, user="zelda-7")
    await use(gateway, "zelda-77", *(f"zelda-77-{n}" for n in range(25)), failed=True)
    for path in (
        *KINDS,
        span().removeprefix("/api/analytics/"),
        span(userId="zelda-77").removeprefix("/api/analytics/"),
    ):
        assert (await gateway.get(f"/api/analytics/{path}")).status == 200, path
    body = {"indicator": "availability", "targetPercent": 99}
    await gateway.put("/api/objectives/up", body)
    assert await mentions(gateway, "zelda-77") >= 1

    erased = await gateway.post("/api/privacy/erase", {"user_id": "zelda-77"})

    assert erased.status == 200, erased.body
    assert await mentions(gateway, "zelda-77") == 0


async def mentions(gateway: Gateway, word: str) -> int:
    """Return how many rows of the tables of insights hold a word."""
    found = 0
    async with gateway.database.transaction(read_only=True) as session:
        for table in insight_tables():
            sql = f"select count(*) as number from faregate.{table} t where strpos(to_jsonb(t)::text, :word) > 0"
            (row,) = await gateway.database.rows(session, sql, word=word)
            found += row.number
    return found


def insight_tables() -> list[str]:
    names = table_names()
    assert names
    kept = re.compile(r"(insight|anomaly|objective|segment_rule)")
    found = sorted(table.name for table in metadata.tables.values() if kept.match(table.name))
    assert {"insight", "insight_person", "anomaly", "anomaly_delivery", "objective_delivery"} <= {*found}
    return found
