"""Quotas, alerts and exports over HTTP."""

from collections.abc import AsyncIterator
from decimal import Decimal

import httpx2
import pytest

from faregate.core.settings import Settings
from faregate.gateway.schemas.analytics_query import AnalyticsQuery
from faregate.gateway.schemas.exports import ExportQuery
from faregate.wire import exact_json
from support.apps import KEY, Gateway, open_gateway, settings_for

QUOTA = {"owner_id": "ada", "meter": "requests", "period": "month", "limit": 4}
LINE = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url)


@pytest.fixture
async def gateway(settings: Settings) -> AsyncIterator[Gateway]:
    async with open_gateway(settings) as gateway:
        await gateway.feature("chat", min_credits=1)
        await gateway.grant("ada", 100)
        yield gateway


async def ride(gateway: Gateway, key: str) -> int:
    start = await gateway.call(
        "POST", "/api/credits-process/start", {"user_id": "ada", "feature_endpoint_id": "chat", "usage_key": key}
    )
    if start.status == 200:
        end = {"user_id": "ada", "feature_endpoint_id": "chat", "usage_key": key, "usages": [LINE]}
        assert (await gateway.call("POST", "/api/credits-process/end-multimodel", end)).status == 200
    return start.status


async def export(gateway: Gateway, query: str) -> httpx2.Response:
    return await gateway.http.request("GET", f"/api/analytics/export?{query}", headers={"x-server-api-key": KEY})


async def test_a_quota_is_set_read_watched_and_removed(gateway: Gateway) -> None:
    put = await gateway.call("PUT", "/api/quotas", {**QUOTA, "thresholds": {"warning": 50}})
    assert put.status == 200
    path = f"/api/quotas/{put.data['id']}"
    for number in range(3):
        assert await ride(gateway, f"k{number}") == 200

    status = (await gateway.call("GET", f"{path}/status")).data
    assert (status["used"], status["remaining"], status["percent"], status["level"]) == (3, 1, 75, "warning")
    assert (await gateway.call("GET", path)).data == (await gateway.call("GET", "/api/quotas?owner_id=ada")).data[0]
    await gateway.container.quota_service().check()
    (alert,) = (await gateway.call("GET", "/api/alerts?level=warning")).data
    assert (alert["owner_id"], alert["used"], alert["limit"]) == ("ada", 3, 4)

    assert (await gateway.call("DELETE", path)).status == 200
    assert (await gateway.call("GET", f"{path}/status")).status == 404


async def test_a_hard_quota_is_402_quota_exceeded_with_the_numbers(gateway: Gateway) -> None:
    await gateway.call("PUT", "/api/quotas", {**QUOTA, "limit": 1, "hard": True})
    await ride(gateway, "k1")
    refused = await gateway.call(
        "POST", "/api/credits-process/start", {"user_id": "ada", "feature_endpoint_id": "chat"}
    )

    assert (refused.status, refused.error["code"]) == (402, "quota_exceeded")
    assert (refused.error["used"], refused.error["limit"]) == (1, 1)
    assert refused.data["status"] == "not-accessible"


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": -1},
        {"limit": "4"},
        {"period": "decade"},
        {"timezone": "Mars"},
        {"owner_id": "a b"},
        {"thresholds": {"warning": 95}},
        {"more": 1},
    ],
)
async def test_an_invalid_quota_is_422(gateway: Gateway, wrong: dict[str, object]) -> None:
    assert (await gateway.call("PUT", "/api/quotas", {**QUOTA, **wrong})).status == 422


async def test_a_quota_or_trend_of_a_misspelt_meter_is_refused_with_a_suggestion(gateway: Gateway) -> None:
    """Such a quota would never fire, and such a trend would be zeros."""
    refused = await gateway.call("PUT", "/api/quotas", {**QUOTA, "meter": "storrage"})
    trend = await gateway.call("GET", "/api/analytics/trends?of=quantity&meter=storrage")
    unnamed = await gateway.call("GET", "/api/analytics/peaks?of=quantity")

    assert [answer.status for answer in (refused, trend, unnamed)] == [404, 404, 422]
    assert refused.body["error"]["suggestions"] == trend.body["error"]["suggestions"] == ["storage"]


async def test_lists_of_quotas_are_paged(gateway: Gateway) -> None:
    for meter in ("api", "compute", "storage"):
        await gateway.call("PUT", "/api/quotas", {**QUOTA, "meter": meter})
    first = await gateway.call("GET", "/api/quotas?limit=2")
    rest = await gateway.call("GET", f"/api/quotas?limit=2&cursor={first.body['meta']['next_cursor']}")

    assert [quota["meter"] for quota in [*first.data, *rest.data]] == ["api", "compute", "storage"]


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("csv", "text/csv"),
        ("json", "application/json"),
        ("ndjson", "application/x-ndjson"),
        ("xlsx", "application/vnd.openxml"),
        ("parquet", "application/vnd.apache.parquet"),
    ],
)
async def test_an_export_is_a_named_file_of_its_kind(gateway: Gateway, kind: str, media_type: str) -> None:
    await ride(gateway, "k1")
    made = await export(gateway, f"format={kind}&startDate=2026-01-01&endDate=2030-01-01")

    assert made.status_code == 200
    assert made.headers["content-type"].startswith(media_type)
    assert 'filename="usage-events_2026-01-01_2030-01-01_' in made.headers["content-disposition"]
    assert made.headers["content-disposition"].endswith(f'.{kind}"')
    assert len(made.content) > 100


async def test_an_export_is_filtered_and_has_exact_amounts(gateway: Gateway) -> None:
    await ride(gateway, "k1")
    whole = exact_json.loads((await export(gateway, "format=json&userId=ada&service=chat")).content)
    nobody = exact_json.loads((await export(gateway, "format=json&userId=eve")).content)

    assert whole["summary"]["credits"] == sum(row["credits"] for row in whole["rows"]) == Decimal("0.42")
    assert whole["metadata"]["filters"]["user_id"] == "ada"
    assert nobody["rows"] == []


@pytest.mark.parametrize(
    "wrong",
    ["format=doc", "startDate=yesterday", "timezone=Mars", "status=odd", "startDate=2026-02-02&endDate=2026-01-01"],
)
async def test_an_invalid_query_is_422_and_no_file(gateway: Gateway, wrong: str) -> None:
    made = await export(gateway, wrong)

    assert made.status_code == 422
    assert made.headers["content-type"].startswith("application/json")


async def test_an_export_accepts_every_filter_of_analytics(gateway: Gateway) -> None:
    """Including `meter`: an ignored filter would silently export everything."""
    for meter in ("seats", "storage"):
        await gateway.post("/api/usage-events", {"user_id": "ada", "meter": meter, "quantity": 3})
    one = exact_json.loads((await export(gateway, "format=json&meter=seats")).content)

    assert [row["meter"] for row in one["rows"]] == ["seats"]
    assert set(AnalyticsQuery.model_fields) <= set(ExportQuery.model_fields)


async def test_csv_for_excel_is_requested_by_bom(gateway: Gateway) -> None:
    assert (await export(gateway, "bom=true")).content.startswith(b"\xef\xbb\xbftime,")
    assert (await export(gateway, "bom=true&format=json")).status_code == 422


async def test_the_error_rate_without_requests_is_null(gateway: Gateway) -> None:
    """Without requests there is no rate, rather than a rate of 0."""
    await gateway.post("/api/usage-events", {"user_id": "ada", "meter": "storage", "quantity": 3})
    empty = (await gateway.call("GET", "/api/analytics/metrics?userId=nobody")).data
    parts = (await gateway.call("GET", "/api/analytics/distribution?by=meter&meter=storage")).data
    await ride(gateway, "k1")
    some = (await gateway.call("GET", "/api/analytics/metrics")).data

    assert (empty["errorRate"], some["errorRate"]) == (None, 0)
    assert [(part["requests"], part["errorRate"]) for part in parts] == [(0, None)]


async def test_exports_need_the_scope(gateway: Gateway) -> None:
    assert (await gateway.call("GET", "/api/analytics/export", headers={"x-server-api-key": "fg_wrong"})).status == 401


async def test_a_meter_is_declared_over_http_and_read_with_its_cost(gateway: Gateway) -> None:
    declared = await gateway.call(
        "PUT", "/api/meters/seats", {"unit": "seat", "aggregation": "max", "unit_price_usd": Decimal("4.99")}
    )
    for quantity in (3, 9, 4):
        await gateway.post("/api/usage-events", {"user_id": "ada", "meter": "seats", "quantity": quantity})
    (read,) = (await gateway.get("/api/analytics/meters")).data

    assert declared.status == 200
    assert (await gateway.get("/api/meters/seats")).data == declared.data
    assert {"seats", "storage"} <= {meter["name"] for meter in (await gateway.get("/api/meters")).data}
    assert (read["meter"], read["value"], read["events"], read["costUsd"]) == ("seats", 9, 3, Decimal("44.91"))
    assert (await gateway.get("/api/meters/nothing")).status == 404
    assert (await gateway.call("PUT", "/api/meters/storage", {"unit": "TB"})).status == 422


async def test_a_meter_has_a_series_parts_and_details(gateway: Gateway) -> None:
    """`hourly`, `daily` and so on are accepted, and quantities of different meters are not added."""
    events = [
        {"user_id": "ada", "meter": "api", "quantity": 4},
        {"user_id": "bea", "meter": "api", "quantity": 2},
        {"user_id": "ada", "meter": "storage", "quantity": 7},
    ]
    assert (await gateway.call("POST", "/api/usage-events", events)).status == 202
    for words in ("hourly", "day", "weekly", "MONTHLY"):
        series = (await gateway.call("GET", f"/api/analytics/timeseries?meter=api&groupBy={words}")).data
        assert sum(point["quantity"] for point in series) == 6
    mixed = (await gateway.call("GET", "/api/analytics/timeseries")).data
    parts = (await gateway.call("GET", "/api/analytics/distribution?by=meter")).data
    countries = (await gateway.call("GET", "/api/analytics/distribution?by=country")).data
    details = (await gateway.call("GET", "/api/analytics/meters?detailed=true&meter=api")).data
    plain = (await gateway.call("GET", "/api/analytics/meters?meter=api")).data

    assert {point["quantity"] for point in mixed} == {part["quantity"] for part in countries} == {None}
    assert {part["value"]: part["quantity"] for part in parts} == {"api": 6, "storage": 7}
    (api,) = details
    assert (api["value"], api["uniqueUsers"], api["average"], api["median"], api["highest"]) == (6, 2, 3, 2, 4)
    assert plain[0]["average"] is None


PATHS = [
    "metrics",
    "services",
    "models",
    "timeseries",
    "users/top",
    "users/periods",
    "dashboard",
    "stats",
    "trends",
    "peaks",
]


@pytest.mark.parametrize("path", [*PATHS, "distribution", "profitability", "meters", "export"])
async def test_a_misspelt_meter_is_refused_by_every_call(gateway: Gateway, path: str) -> None:
    answer = await gateway.http.request(
        "GET", f"/api/analytics/{path}?meter=storrage", headers={"x-server-api-key": KEY}
    )

    assert answer.status_code in {404, 422}
    assert "storage" in answer.text


async def test_the_quotas_of_an_owner_are_checked_for_one_meter(gateway: Gateway) -> None:
    for meter, limit in (("requests", 4), ("api", 10)):
        await gateway.call("PUT", "/api/quotas", {**QUOTA, "meter": meter, "limit": limit})
    await ride(gateway, "k1")
    (one,) = (await gateway.call("GET", "/api/quotas/check?owner_id=ada&meter=requests")).data
    both = (await gateway.call("GET", "/api/quotas/check?owner_id=ada")).data
    wrong = await gateway.call("GET", "/api/quotas/check?owner_id=ada&meter=storrage")
    unnamed = await gateway.call("GET", "/api/quotas/check")
    listed = (await gateway.call("GET", "/api/quotas?meter=api")).data

    assert (one["used"], one["remaining"]) == (1, 3)
    assert [status["quota"]["meter"] for status in both] == ["requests", "api"]
    assert (wrong.status in {404, 422}, unnamed.status) == (True, 422)
    assert [quota["meter"] for quota in listed] == ["api"]
