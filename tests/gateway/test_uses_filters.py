"""Uses behind a number: the list of uses accepts every filter of analytics, and the range in which a use was counted."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from support.apps import Gateway


async def use(gateway: Gateway, key: str, model: str, **reported: Any) -> None:
    await gateway.start("ada", "chat", usage_key=key)
    await gateway.end(
        "ada", "chat", usage_key=key, usages=[{"ai_model": model, "input_tokens": 10, "output_tokens": 1}]
    )
    event = {"user_id": "ada", "kind": "line", "usage_key": key, "service": "voice", "model": model, **reported}
    answer = await gateway.post("/api/usage-events", event)
    assert answer.data["accepted"] == 1, answer.body


@pytest.fixture
async def used(gateway: Gateway) -> Gateway:
    await gateway.feature("chat")
    await gateway.grant("ada", 50)
    await use(gateway, "one", "gpt-4o", country="DE", device="mobile", status=200)
    await use(gateway, "two", "claude-sonnet-4-5", country="FR", device="desktop", status=429)
    return gateway


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("service=voice", ["two", "one"]),
        ("service=chat", ["two", "one"]),
        ("service=other", []),
        ("country=de", ["one"]),
        ("device=desktop", ["two"]),
        ("provider=openai", ["one"]),
        ("status=429", ["two"]),
        ("status=error", ["two"]),
        ("status=success&country=DE", ["one"]),
        ("country=DE&device=desktop", []),
        ("model=gpt-4o&country=DE&user_id=ada&feature_key=chat", ["one"]),
    ],
)
async def test_uses_are_found_by_what_their_events_say(used: Gateway, query: str, keys: list[str]) -> None:
    found = await used.get(f"/api/usage?{query}")

    assert [each["usage_key"] for each in found.data] == keys


async def test_a_use_is_in_the_range_in_which_analytics_count_it(used: Gateway) -> None:
    (two, one) = (await used.get("/api/usage")).data
    settled = datetime.fromisoformat(two["executed_at"])
    start, end = [(settled + timedelta(microseconds=shift)).isoformat().replace("+", "%2B") for shift in (0, 1)]

    within = (await used.get(f"/api/usage?settled_from={start}&settled_to={end}")).data
    before = (await used.get(f"/api/usage?settled_to={start}")).data

    assert ([each["usage_key"] for each in within], [each["usage_key"] for each in before]) == (
        ["two"],
        [one["usage_key"]],
    )


@pytest.mark.parametrize("query", ["status=ok", "country=Germany", "settled_from=yesterday"])
async def test_a_filter_without_meaning_is_refused_by_its_name(gateway: Gateway, query: str) -> None:
    answer = await gateway.get(f"/api/usage?{query}")

    assert answer.status == 422
    assert query.partition("=")[0] in str(answer.error)
