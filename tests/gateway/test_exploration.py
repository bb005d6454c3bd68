"""Explorations and their stream: sums that add up, the period before, events after changes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from faregate.analytics.question.filters import TimeRange
from faregate.analytics.question.range_before import range_before
from faregate.gateway.main import server_config
from faregate.wire import exact_json
from support.apps import KEY, Gateway, open_gateway, settings_for
from support.serving import serving

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


async def record(gateway: Gateway, *events: dict[str, Any]) -> None:
    given = [{"service": "chat", "user_id": "ada", "kind": "line", **event} for event in events]
    answer = await gateway.post("/api/usage-events", given)
    assert answer.data["accepted"] == len(events), answer.body


def line(hours_ago: float, model: str, credits: str, **more: Any) -> dict[str, Any]:
    time = (NOW - timedelta(hours=hours_ago)).isoformat()
    return {"time": time, "model": model, "credits": Decimal(credits), "input_tokens": 10, "output_tokens": 1, **more}


async def explore(gateway: Gateway, **query: object) -> Any:
    address = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await gateway.get(f"/api/analytics/explore?{address}")
    assert answer.status == 200, answer.body
    return answer.data


async def test_slices_rest_and_series_add_up_to_the_totals(gateway: Gateway) -> None:
    models = ["gpt-4o", "claude-sonnet-4-5", "mistral-large", "o3", "in-house"]
    await record(gateway, *(line(h, m, f"{h}.00000{n}") for n, m in enumerate(models) for h in (1, 30, 60)))

    for unit in ("quarter-hour", "hour", "day"):
        found = await explore(gateway, by="model", top=2, groupBy=unit, of="credits", timezone="Asia/Kathmandu")
        total = found["totals"]["totalCredits"]
        assert [part["value"] for part in found["slices"]][2:] == [None]
        assert found["slices"][2]["isRest"] is True
        assert sum(part["credits"] for part in found["slices"]) == total == sum(found["series"])
        for place, amount in enumerate(found["series"]):
            assert sum(part["series"][place] for part in found["slices"]) == amount
        assert len(found["periods"]) == len(found["series"])


async def test_every_dimension_adds_up_also_usage_without_a_value(gateway: Gateway) -> None:
    await record(
        gateway,
        line(2, "gpt-4o", "3", country="DE", device="mobile", provider="openai", feature_key="a"),
        line(3, "gpt-4o", "5", country="FR", user_id="bob", service="voice"),
        line(4, "o3", "7", user_id="cyd"),
    )
    fixed = {"feature_key": "GENERATE_QUESTION_PAPER", "user_id": "dan", "usage_key": "paper"}
    await gateway.post("/api/wallets/dan/grants", {"credits": 20, "source": "bonus"})
    assert (await gateway.post("/api/usage", fixed)).data["credits_charged"] == 5, "a use without a model"

    for rolled in (False, True):
        if rolled:
            await gateway.container.roller().run()
        for by in ("service", "feature", "user", "country", "status", "provider", "model", "organization", "device"):
            for top in (1, 8):
                found = await explore(gateway, by=by, top=top, of="credits", groupBy="hour", then="model")
                assert found["totals"]["totalCredits"] == 20
                assert sum(part["credits"] for part in found["slices"]) == 20, by
                assert sum(sum(part["series"]) for part in found["slices"]) == 20, by
                assert sum(part["chargedCredits"] for part in found["slices"]) == 20, by
                for each in (part for part in found["slices"] if not part["isRest"]):
                    assert sum(part["credits"] for part in each["parts"]) == each["credits"], (by, each["value"])


async def test_there_is_no_rest_and_no_part_without_a_model_if_all_usage_has_one(gateway: Gateway) -> None:
    await record(gateway, line(2, "gpt-4o", "3"), {"kind": "request", "time": NOW.isoformat(), "status": 200})

    for by in ("model", "feature", "service"):
        found = await explore(gateway, by=by, top=8, of="credits", then="model")
        assert not any(part["isRest"] for part in found["slices"] if by == "model")
        assert [part["value"] for each in found["slices"] for part in each["parts"]] in ([], ["gpt-4o"])


async def test_each_series_is_that_of_the_question_with_its_value_as_a_filter(gateway: Gateway) -> None:
    """Both before and after the facts are added to the sums, and with facts of both kinds; without a filter, with one, with two."""
    filters = {
        "service": "service",
        "model": "model",
        "provider": "provider",
        "feature": "feature",
        "country": "country",
    }
    first = [
        line(30, "gpt-4o", "3", country="DE", device="mobile", provider="openai", feature_key="a"),
        line(29, "openai/gpt-4o", "0.000001", country="DE", feature_key="a"),
        line(3, "gpt-4o", "5", country="FR", service="voice", provider="azure"),
        line(2, "in-house", "7", country="DE", device="mobile"),
    ]
    await record(gateway, *first)
    await gateway.container.roller().run()
    await record(gateway, line(2, "gpt-4o", "11", country="DE", provider="OpenAI", device="mobile"))

    for given in ({}, {"country": "DE"}, {"country": "DE", "device": "mobile"}):
        for by, name in filters.items():
            found = await explore(gateway, by=by, groupBy="day", of="credits", top=2, **given)
            for each in found["slices"]:
                if each["value"] is not None and name not in given:
                    alone = await explore(gateway, by=by, groupBy="day", of="credits", **given, **{name: each["value"]})
                    assert each["series"] == alone["series"], (by, given, each["value"])
                    assert sum(each["series"]) == each["credits"]
            rest = [each for each in found["slices"] if each["isRest"]]
            assert all(sum(each["series"]) == each["credits"] for each in rest), (by, given)


async def test_the_totals_are_those_of_the_metrics(gateway: Gateway) -> None:
    await record(gateway, line(1, "gpt-4o", "1.25"), line(2, "gpt-4o", "0.000001", user_id="bob"))

    assert (await explore(gateway, by="user"))["totals"] == (await gateway.get("/api/analytics/metrics")).data


async def test_the_period_before_has_equal_elapsed_time_and_is_null_without_usage(gateway: Gateway) -> None:
    start = (NOW - timedelta(hours=5)).isoformat().replace("+", "%2B")
    end = (NOW + timedelta(hours=5)).isoformat().replace("+", "%2B")
    await record(gateway, line(1, "gpt-4o", "1"))
    assert (await explore(gateway, startDate=start, endDate=end))["before"] is None

    await record(gateway, line(14, "gpt-4o", "2"), line(7, "gpt-4o", "4"))  # 14 h: in the same part; 7 h: later than it
    found = await explore(gateway, startDate=start, endDate=end)

    assert found["before"]["totalCredits"] == 2
    assert datetime.fromisoformat(found["rangeBefore"]["start"]) == NOW - timedelta(hours=15)


@pytest.mark.parametrize(
    ("zone", "start", "end", "now", "before"),
    [
        ("UTC", "2026-11-01", "2026-12-01", "2026-11-28T20:00", ("2026-10-01T00:00", "2026-10-28T20:00")),
        ("UTC", "2026-03-01", "2026-04-01", "2026-03-31T12:00", ("2026-02-01T00:00", "2026-03-01T00:00")),
        ("UTC", "2026-11-01", "2026-12-01", "2027-01-15T00:00", ("2026-10-01T00:00", "2026-11-01T00:00")),
        ("Europe/Berlin", "2026-10-25", "2026-10-26", "2026-10-25T11:00", ("2026-10-23T22:00", "2026-10-24T10:00")),
        ("UTC", "2026-11-02T06:00", "2026-11-02T09:00", "2026-11-02T07:00", ("2026-11-02T03:00", "2026-11-02T04:00")),
    ],
)
def test_what_a_range_is_compared_with(zone: str, start: str, end: str, now: str, before: tuple[str, str]) -> None:
    from faregate.analytics.question.filters import time_range

    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    found = range_before(time_range(start, end, zone, now=moment), now=moment)

    assert (found.start, found.end) == tuple(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in before)
    assert isinstance(found, TimeRange)


@pytest.fixture
async def served(database_url: str) -> AsyncIterator[tuple[Gateway, str]]:
    settings = settings_for(database_url, port=0)
    async with open_gateway(settings) as gateway:
        gateway.app.router.lifespan_context = _nothing
        async with serving(server_config(gateway.app, settings)) as url:
            yield gateway, url


def _nothing(_app: object) -> Any:
    from contextlib import nullcontext

    return nullcontext()


async def events(response: httpx2.Response) -> AsyncGenerator[Any]:
    async for text in response.aiter_lines():
        if text.startswith("data: "):
            yield exact_json.loads(text.removeprefix("data: ").encode())


async def test_the_stream_sends_the_usage_at_once_and_after_each_change(served: tuple[Gateway, str]) -> None:
    gateway, url = served
    await record(gateway, line(1, "gpt-4o", "1"))
    async with (
        httpx2.AsyncClient(base_url=url, headers={"x-server-api-key": KEY}, timeout=20) as http,
        http.stream("GET", "/api/analytics/stream?every=1&by=model") as response,
        aclosing(events(response)) as found,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        first = await anext(found)
        await record(gateway, line(1, "gpt-4o", "0.5"))
        later = await anext(found)

    assert [each["explore"]["totals"]["totalCredits"] for each in (first, later)] == [1, Decimal("1.5")]
    assert later["dashboard"]["overview"] == later["explore"]["totals"]


async def test_a_wrong_query_is_refused_before_the_stream_begins(gateway: Gateway) -> None:
    answer = await gateway.get("/api/analytics/stream?timezone=Mars/Olympus")

    assert (answer.status, answer.error["code"]) == (422, "invalid")


async def test_a_server_that_stops_ends_its_streams(database_url: str) -> None:
    """The server waits for answers in flight: a stream would keep it until the time-out."""
    settings = settings_for(database_url, port=0)
    async with open_gateway(settings) as gateway:
        gateway.app.router.lifespan_context = _nothing
        async with httpx2.AsyncClient(headers={"x-server-api-key": KEY}, timeout=20) as http:
            async with asyncio.timeout(10):
                async with serving(server_config(gateway.app, settings)) as url:
                    request = http.build_request("GET", f"{url}/api/analytics/stream")
                    response = await http.send(request, stream=True)
                    assert response.status_code == 200
            await response.aclose()
