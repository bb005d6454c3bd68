"""The response cache: an answer is never older than its request, lookups are counted, and the cache is optional."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from faregate.gateway.http import response_cache
from faregate.wire.ids import new_uuid7
from support.apps import Gateway, open_gateway, settings_for
from support.redis import redis_server

ADA = "/api/wallets/ada"
METRICS = "/api/analytics/metrics?startDate=2026-01-01&endDate=2030-01-01"


async def lookups(gateway: Gateway, cache: str) -> tuple[int, int]:
    """Return hits and misses."""
    text = (await gateway.http.get("/metrics")).text
    found = dict(re.findall(rf'faregate_cache_lookups_total{{cache="{cache}",result="(\w+)"}} (\d+)', text))
    return int(found.get("hit", 0)), int(found.get("miss", 0))


async def grant(gateway: Gateway, credits: int = 1) -> None:
    answer = await gateway.post(f"{ADA}/grants", {"credits": credits, "source": "bonus"})
    assert answer.status == 201


async def record(gateway: Gateway) -> None:
    event = {"id": str(new_uuid7()), "user_id": "ada", "service": "chat"}
    answer = await gateway.post("/api/usage-events", event)
    assert answer.data["accepted"] == 1, answer.data


@pytest.fixture
async def two(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Gateway, Gateway]]:
    """Two gateways that keep their answers in one Redis."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(redis_server(tmp_path))
        settings = settings_for(database_url, redis_url=redis.url)
        one, other = [await stack.enter_async_context(open_gateway(settings)) for _ in range(2)]
        yield one, other


async def test_a_wallet_is_read_once_until_it_changes(gateway: Gateway) -> None:
    await grant(gateway)
    first, second = [await gateway.get(ADA) for _ in range(2)]
    await grant(gateway)
    third = await gateway.get(ADA)

    assert first.body == second.body
    assert [answer.data["credits"] for answer in (second, third)] == [Decimal(1), Decimal(2)]
    assert await lookups(gateway, "wallets") == (1, 2)


@pytest.mark.parametrize("change", [{"plan": "pro"}, {"credit_limit": 5}, {"email": "ada@example.org"},
                                    {"organization_id": "acme"}, {"low_balance": 1}, {"status": "frozen"}])  # fmt: skip
async def test_no_change_of_a_wallet_is_missed(gateway: Gateway, change: dict[str, object]) -> None:
    await grant(gateway)
    await gateway.get(ADA)
    changed = await gateway.put(ADA, change)

    assert (await gateway.get(ADA)).data == changed.data


async def test_no_balance_is_older_than_its_request_in_any_process(two: tuple[Gateway, Gateway]) -> None:
    """One process writes and both read, repeatedly: each read shows every write that was answered before it."""
    for number in range(1, 16):
        await grant(two[number % 2])
        found = await asyncio.gather(*(gateway.get(ADA) for gateway in (*two, *two)))
        assert [answer.data["credits"] for answer in found] == [number] * 4
    hits = [(await lookups(gateway, "wallets"))[0] for gateway in two]
    assert sum(hits) > 0


async def test_an_answer_of_one_process_serves_the_other(two: tuple[Gateway, Gateway]) -> None:
    await grant(two[0])
    one, other = [await gateway.get(ADA) for gateway in two]

    assert one.body == other.body
    assert await lookups(two[1], "wallets") == (1, 0)


async def test_an_event_just_recorded_is_in_the_next_answer(gateway: Gateway) -> None:
    counts = []
    for _ in range(3):
        await record(gateway)
        found = [(await gateway.get(METRICS)).data["totalRequests"] for _ in range(2)]
        counts.append(found)

    assert counts == [[1, 1], [2, 2], [3, 3]]
    assert await lookups(gateway, "analytics") == (3, 3)


async def test_an_erased_user_is_not_in_later_answers(gateway: Gateway) -> None:
    await record(gateway)
    named = [(await gateway.get("/api/analytics/users/top")).body for _ in range(2)]
    erased = await gateway.post("/api/privacy/erase", {"user_id": "ada"})

    assert erased.status == 200, erased.body
    assert "ada" in str(named[1])
    assert "'ada'" not in str((await gateway.get("/api/analytics/users/top")).body)


async def test_people_do_not_get_cached_answers_of_others(database_url: str) -> None:
    from support.people import SECRET, bearer

    async with open_gateway(settings_for(database_url, jwt_secret=SECRET)) as gateway:
        await record(gateway)
        own, other = [
            await gateway.call("GET", "/api/analytics/my-usage", headers=bearer(user)) for user in ("ada", "bela")
        ]

    assert (own.data["overview"]["totalRequests"], other.data["overview"]["totalRequests"]) == (1, 0)


async def test_without_redis_everything_is_computed(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is unavailable answers are computed, and they are cached again when it is back."""
    monkeypatch.setattr(response_cache, "_AWAY_SECONDS", 0.0)
    async with (
        redis_server(tmp_path) as redis,
        open_gateway(settings_for(database_url, redis_url=redis.url)) as gateway,
    ):
        await grant(gateway)
        await gateway.get(ADA)
        await redis.stop()
        away = [await gateway.get(ADA) for _ in range(3)]
        await redis.start()
        back = [await gateway.get(ADA) for _ in range(3)]

        assert [answer.status for answer in (*away, *back)] == [200] * 6
        assert (await lookups(gateway, "wallets"))[0] >= 1


async def test_nothing_is_kept_if_the_cache_is_off(database_url: str) -> None:
    async with open_gateway(settings_for(database_url, kept_answers=0)) as gateway:
        await grant(gateway)
        await gateway.get(ADA)
        await gateway.get(ADA)

        assert await lookups(gateway, "wallets") == (0, 0)
        await gateway.get("/api/features")
        await gateway.get("/api/features")
        assert await lookups(gateway, "features") == (1, 1)
