"""Insights over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from faregate.analytics.insights import numeric
from support.apps import Gateway, open_gateway, settings_for

NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
WEEK = [100, 110, 120, 115, 90, 40, 30]


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with open_gateway(settings_for(database_url, late_event_days=3650)) as gateway:
        yield gateway


async def record(gateway: Gateway, days: int, users: int = 1) -> None:
    facts: list[dict[str, Any]] = []
    for back in range(days, 0, -1):
        at = NOON - timedelta(days=back)
        facts += [
            {"user_id": f"u{n}", "service": "chat", "time": at, "credits": Decimal(WEEK[at.weekday()])}
            for n in range(users)
        ]
    report = await gateway.container.recorder().record(facts)
    assert report.rejected == ()


async def test_a_forecast_stands_with_its_evidence_and_its_back_test(gateway: Gateway) -> None:
    await record(gateway, 56)

    answer = (await gateway.get("/api/analytics/forecast?of=credits&groupBy=day&horizon=7")).data

    assert answer["enough"] is True
    assert sum(point["expected"] for point in answer["points"]) == sum(WEEK)
    assert (answer["tests"][0]["method"], answer["coverage"]) == ("seasonal naive (7)", 1)
    assert (answer["evidence"]["sample"], answer["evidence"]["sampled"]) == (56, "days")
    again = (await gateway.get("/api/analytics/forecast?of=credits&groupBy=day&horizon=7")).data
    assert again == answer


async def test_too_little_history_is_an_answer_and_a_long_horizon_an_error(gateway: Gateway) -> None:
    answer = await gateway.get("/api/analytics/forecast")
    assert (answer.status, answer.data["enough"], answer.data["points"]) == (200, False, [])
    assert "not enough history" in answer.data["evidence"]["limits"][0]

    refused = await gateway.get("/api/analytics/forecast?groupBy=month&horizon=60")
    assert (refused.status, refused.error["param"]) == (422, "horizon")


async def test_every_insight_about_users_answers_with_its_evidence(gateway: Gateway) -> None:
    await record(gateway, 30, users=30)

    for path in ("cohorts?groupBy=month", "adoption", "churn", "segments?limit=5", "upsell", "run-outs"):
        answer = await gateway.get(f"/api/analytics/{path}")
        assert answer.status == 200, answer.body
        evidence = answer.data["evidence"]
        assert set(evidence) == {"method", "sample", "sampled", "start", "end", "uncertainty", "limits"}
    segments = (await gateway.get("/api/analytics/segments?person=u7")).data
    assert [each["userId"] for each in segments["people"]] == ["u7"]


async def test_segments_are_declared_listed_and_deleted(gateway: Gateway) -> None:
    body = {"conditions": [{"field": "credits", "op": ">=", "value": Decimal("99.5")}]}
    put = await gateway.put("/api/analytics/segments/rules/vip", body)
    assert put.data == {"name": "vip", **body}
    assert (await gateway.get("/api/analytics/segments/rules")).data == [put.data]

    wrong = {"conditions": [{"field": "age", "op": ">=", "value": 1}]}
    assert (await gateway.put("/api/analytics/segments/rules/vip", wrong)).status == 422
    assert (await gateway.call("DELETE", "/api/analytics/segments/rules/vip")).status == 200
    assert (await gateway.call("DELETE", "/api/analytics/segments/rules/vip")).status == 404


@pytest.mark.parametrize("name", ["big%20spenders", "sk-proj-abcdefghijklmnopqrstuvwx"])
async def test_the_name_of_a_segment_is_an_id_and_never_a_credential(gateway: Gateway, name: str) -> None:
    body = {"conditions": [{"field": "credits", "op": ">=", "value": 100}]}

    put = await gateway.put(f"/api/analytics/segments/rules/{name}", body)
    deleted = await gateway.call("DELETE", f"/api/analytics/segments/rules/{name}")

    assert [(answer.status, answer.error["param"]) for answer in (put, deleted)] == [(422, "name")] * 2
    assert name not in str((put.body, deleted.body))
    assert (await gateway.get("/api/analytics/segments/rules")).data == []


async def test_anomalies_are_listed_and_judged(gateway: Gateway) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    facts = [
        {
            "user_id": "ada",
            "service": "chat",
            "time": hour - timedelta(hours=back) + timedelta(minutes=1),
            "credits": 10,
        }
        for back in range(400, 0, -1)
    ]
    await gateway.container.recorder().record([*facts, {**facts[-1], "credits": 5000, "id": "odd"}])
    await gateway.container.anomalies().check()

    (total,) = (await gateway.get("/api/analytics/anomalies?scope=total&measure=spend")).data
    assert total["actual"] == 5010
    assert total["sentence"].startswith("spend of all use was 5,010")
    judged = await gateway.post(f"/api/analytics/anomalies/{total['id']}/verdict", {"verdict": "not_an_anomaly"})
    assert judged.data["verdict"] == "not_an_anomaly"
    assert (await gateway.get("/api/analytics/anomalies?scope=total&unjudged=true")).data == []
    missing = await gateway.post(f"/api/analytics/anomalies/{total['id'][:-1]}0/verdict", {"verdict": "confirmed"})
    assert missing.status == 404


async def test_an_erasure_reaches_every_result_about_the_person(gateway: Gateway) -> None:
    await record(gateway, 56, users=30)
    for path in ("segments", "forecast?userId=u7&horizon=7"):
        assert (await gateway.get(f"/api/analytics/{path}")).data["enough"]
    kept = "select count(*) as kept from faregate.insight where owners <> '{}'"

    await gateway.post("/api/privacy/erase", {"user_id": "u7"})

    people = (await gateway.get("/api/analytics/segments?limit=1000")).data["people"]
    assert len(people) == 29
    assert {each["userId"] for each in people} == {f"u{n}" for n in range(30) if n != 7}
    async with gateway.database.transaction() as session:
        assert (await gateway.database.rows(session, kept))[0].kept == 0


async def test_without_the_extra_the_answer_holds_the_command_that_installs_it(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numeric, "_MODULES", ("a_module_that_is_not_there",))

    answer = await gateway.get("/api/analytics/churn")

    assert answer.status == 500
    assert 'pip install "faregate[insights]"' in answer.error["detail"]
