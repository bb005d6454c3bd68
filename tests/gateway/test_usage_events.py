"""Usage events in all forms over HTTP, and analytics with the field names of the HTTP contract."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from faregate.wire import exact_json
from support.apps import Gateway


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "source": "test", "user_id": "anna", "service": "chat", **more}


async def send(gateway: Gateway, body: Any, kind: str = "application/json") -> dict[str, Any]:
    answer = await gateway.call("POST", "/api/usage-events", body, headers={"content-type": kind})
    assert answer.status == 202, answer.body
    data: dict[str, Any] = answer.data
    return data


async def test_one_event_an_array_lines_and_cloud_events(gateway: Gateway) -> None:
    cloud = {
        "specversion": "1.0",
        "id": "c1",
        "source": "/app",
        "type": "chat",
        "subject": "bob",
        "data": {"credits": 1},
    }
    lines = b"\n".join([*(exact_json.dumps(event(n)) for n in range(3, 9)), b"", b"{broken", b'{"user_id":"anna"}'])

    assert await send(gateway, event(1)) == {"accepted": 1, "duplicates": 0, "rejected": [], "rejected_unlisted": 0}
    assert (await send(gateway, [event(1), event(2), event(9, status=1)]))["accepted"] == 1
    in_lines = await send(gateway, lines, "application/x-ndjson")
    assert (in_lines["accepted"], [item["index"] for item in in_lines["rejected"]]) == (6, [6, 7])
    assert (await send(gateway, cloud, "application/cloudevents+json"))["accepted"] == 1
    assert (await send(gateway, [cloud, {**cloud, "id": "c2"}], "application/cloudevents-batch+json")) == {
        "accepted": 1,
        "duplicates": 1,
        "rejected": [],
        "rejected_unlisted": 0,
    }
    metrics = (await gateway.get("/api/analytics/metrics")).data
    assert (metrics["totalRequests"], metrics["totalCredits"], metrics["uniqueUsers"]) == (10, 2, 2)


_NAMELESS = {"user_id": "anna", "service": "chat"}


@pytest.mark.parametrize(
    ("body", "kind", "number"),
    [
        (_NAMELESS, "application/json", 1),
        ([_NAMELESS, {**_NAMELESS, "source": "app"}, {**_NAMELESS, "id": None}], "application/json", 3),
        (b"\n".join([exact_json.dumps(_NAMELESS)] * 5_003), "application/x-ndjson", 5_003),
    ],
)
async def test_events_without_an_id_count_once_under_one_idempotency_key(
    gateway: Gateway, body: Any, kind: str, number: int
) -> None:
    """The answer is stored; for lines of JSON it is not, and a resend reports duplicates."""

    async def sent(key: str) -> dict[str, Any]:
        headers = {"content-type": kind, "idempotency-key": key}
        data: dict[str, Any] = (await gateway.call("POST", "/api/usage-events", body, headers=headers)).data
        return data

    first, again, other = await sent("one"), await sent("one"), await sent("two")

    assert (first["accepted"], first["duplicates"]) == (number, 0)
    assert (again["accepted"], again["duplicates"]) == ((0, number) if kind.endswith("ndjson") else (number, 0))
    assert other["accepted"] == number
    assert (await gateway.get("/api/analytics/metrics")).data["totalRequests"] == 2 * number


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
async def test_an_invalid_idempotency_key_is_refused_with_any_body(gateway: Gateway, kind: str) -> None:
    headers = {"content-type": kind, "idempotency-key": "two words"}
    answer = await gateway.call("POST", "/api/usage-events", exact_json.dumps(_NAMELESS), headers=headers)

    assert (answer.status, answer.error["param"]) == (422, "Idempotency-Key")
    assert (await gateway.get("/api/analytics/metrics")).data["totalRequests"] == 0


async def test_fate_and_corrections(gateway: Gateway) -> None:
    await send(gateway, [event(1, credits=Decimal("0.25")), event(2, status=1)])

    fate = await gateway.get("/api/usage-events/fate?source=test&id=e1")
    rejected = await gateway.get("/api/usage-events/fate?source=test&id=e2")
    voided = await gateway.post("/api/usage-events/corrections", {"source": "test", "id": "e1", "action": "void"})
    unknown = await gateway.get("/api/usage-events/fate?source=test&id=e3")
    wrong = await gateway.post("/api/usage-events/corrections", {"source": "test", "id": "e1", "action": "replace"})

    assert (fate.data["status"], fate.data["event"]["credits"]) == ("counted", Decimal("0.25"))
    assert rejected.data["status"] == "rejected"
    assert (voided.data["status"], voided.data["corrections"][0]["action"]) == ("voided", "voided")
    assert (unknown.status, unknown.error["code"]) == (404, "unknown_event")
    assert wrong.status == 422


async def test_a_settlement_is_in_the_next_answer(gateway: Gateway) -> None:
    await gateway.grant("anna", 100)
    await gateway.feature("ai_chat")
    await gateway.start("anna", "ai_chat", usage_key="k1")
    end = await gateway.end(
        "anna",
        "ai_chat",
        usage_key="k1",
        duration=1500,
        usages=[{"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}],
    )

    dashboard = (await gateway.get("/api/analytics/dashboard?groupBy=day")).data
    models = (await gateway.get("/api/analytics/models")).data
    profit = (await gateway.get("/api/analytics/profitability")).data

    overview = dashboard["overview"]
    assert (overview["totalRequests"], overview["totalTokens"]) == (1, 1100)
    assert overview["totalCredits"] == overview["chargedCredits"] == end.data["charged"]
    assert overview["averageResponseTime"] == 1500
    assert (models[0]["model"], models[0]["provider"], models[0]["requests"]) == ("gpt-4o", "openai", 1)
    assert dashboard["topUsers"][0]["userId"] == "anna"
    assert sum(point["requests"] for point in dashboard["timeSeries"]) == 1
    assert profit[0]["feature"] == "ai_chat"


@pytest.mark.parametrize(
    "path",
    ["services", "models", "timeseries?groupBy=week", "users/top?by=cost&limit=5", "stats?meter=api", "trends?of=credits",
     "peaks?groupBy=day", "distribution?by=hour", "distribution?by=country", "profitability", "dashboard"],
)  # fmt: skip
async def test_every_question_has_an_answer_without_any_facts(gateway: Gateway, path: str) -> None:
    assert (await gateway.get(f"/api/analytics/{path}")).status == 200


async def test_requests_per_user_by_day_and_by_month(gateway: Gateway) -> None:
    """Every user of every period, from the sums and from facts that are not rolled up yet."""
    last = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
    days = [last - timedelta(days=1), last]
    counts = {("anna", 0): 3, ("bob", 0): 1, ("anna", 1): 2}
    await send(gateway, [
        {"user_id": user, "service": "chat", "time": days[day].isoformat()}
        for (user, day), count in counts.items() for _ in range(count)
    ])  # fmt: skip
    span = f"startDate={days[0].date()}&endDate={(last + timedelta(days=1)).date()}"
    path = f"/api/analytics/users/periods?{span}"
    by_day = (await gateway.get(path)).data
    await gateway.container.roller().run()
    by_month = (await gateway.get(f"{path}&groupBy=month")).data
    too_many = await gateway.get("/api/analytics/users/periods?startDate=2020-01-01&endDate=2026-01-01")

    assert [(row["period"][:10], row["userId"], row["totalRequests"]) for row in by_day] == [
        (days[day].date().isoformat(), user, count) for (user, day), count in counts.items()
    ]
    assert by_day == (await gateway.get(path)).data
    totals = {user: sum(row["totalRequests"] for row in by_month if row["userId"] == user) for user in ("anna", "bob")}
    assert totals == {"anna": 5, "bob": 1}
    assert (too_many.status, too_many.error["param"]) == (422, "startDate")


async def test_statistics_of_a_meter_are_exact(gateway: Gateway) -> None:
    await send(gateway, [{"user_id": "anna", "meter": "storage", "quantity": n} for n in range(1, 101)])

    stats = (await gateway.get("/api/analytics/stats?meter=storage")).data

    assert stats == {
        "meter": "storage", "count": 100, "sum": 5050, "average": Decimal("50.5"), "median": 50, "p95": 95, "p99": 99,
    }  # fmt: skip


async def test_a_wrong_question_names_the_field(gateway: Gateway) -> None:
    for query, param in [
        ("startDate=yesterday", "startDate"),
        ("timezone=Mars", "timezone"),
        ("status=fine", "status"),
    ]:
        answer = await gateway.get(f"/api/analytics/metrics?{query}")
        assert (answer.status, answer.error["param"]) == (422, param)


async def test_a_changed_declaration_of_a_meter_applies_at_once(gateway: Gateway) -> None:
    """Even if the same question was answered a moment ago from the same facts."""
    await send(gateway, [event(n, meter="seats", quantity=n) for n in (9, 3)])
    asked = "of=quantity&meter=seats"

    async def read() -> tuple[Any, Any]:
        trends, peaks = [(await gateway.get(f"/api/analytics/{what}?{asked}")).data for what in ("trends", "peaks")]
        return max(day["amount"] for day in trends), max(peak["amount"] for peak in peaks)

    assert await read() == (12, 12)
    put = await gateway.put("/api/meters/seats", {"unit": "seat", "aggregation": "max"})
    assert put.status == 200
    assert await read() == (9, 9)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"meter": "api", "quantity": -1}, "POST /api/usage-events/corrections"),
        ({"credits": Decimal("-0.5")}, "POST /api/usage-events/corrections"),
        ({"input_tokens": -1}, "POST /api/usage-events/corrections"),
        ({"source": "faregate:use"}, "source of yours"),
        ({"source": " FareGate:line"}, "source of yours"),
    ],
)
async def test_negative_amounts_and_reserved_sources_are_refused_in_every_form(
    gateway: Gateway, fields: dict[str, Any], said: str
) -> None:
    bad = event(1, **fields)
    named = ("id", "source", "user_id")
    cloud = {
        "specversion": "1.0",
        "id": bad["id"],
        "source": bad["source"],
        "type": "chat",
        "subject": "anna",
        "data": {name: value for name, value in bad.items() if name not in named},
    }
    forms = [
        (bad, "application/json"),
        ([bad], "application/json"),
        (exact_json.dumps(bad), "application/x-ndjson"),
        (cloud, "application/json"),
        (cloud, "application/cloudevents+json"),
        ([cloud], "application/cloudevents-batch+json"),
    ]
    for body, kind in forms:
        report = await send(gateway, body, kind)
        assert (report["accepted"], len(report["rejected"])) == (0, 1), (kind, report)
        assert said in report["rejected"][0]["error"]


async def test_the_events_of_a_use_are_corrected_only_through_its_charge(gateway: Gateway) -> None:
    body = {"id": "K", "source": "Faregate: use", "action": "void"}
    for more in ({}, {"action": "replace", "event": event(1)}):
        refused = await gateway.post("/api/usage-events/corrections", {**body, **more})

        assert (refused.status, refused.error["param"]) == (422, "source")
        assert "POST /api/transactions/{transaction_id}/refund" in refused.error["detail"]
