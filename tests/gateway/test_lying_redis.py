"""Failures of Redis: requests are served at once, limits fall back to the process, and balances come from the ledger."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from faregate.core.clock import SystemClock
from faregate.gateway.errors import RateLimitedError
from faregate.gateway.http import rate_limits
from faregate.gateway.http.operation import Operation
from faregate.gateway.http.rate_limits import LimitRules, RateLimiter
from faregate.gateway.http.redis_clients import RedisClients
from faregate.gateway.security.auth import Principal
from support.apps import open_gateway, settings_for
from support.redis import redis_server

CALLER = Principal("key", frozenset())
READ, WRITE = (
    cast("Operation", SimpleNamespace(id=method, method=method, concurrency=None)) for method in ("GET", "POST")
)
RULES = LimitRules(key=3, admin=3, analyst=3, user=3, refused=3)
LIES: Mapping[str, bytes | None] = {
    "silence": None,
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a text": b"+OK\r\n",
    "texts for numbers": b"*4\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n$1\r\nw\r\n",
    "a number": b":-5\r\n",
    "no UTF-8": b"$2\r\n\xff\xfe\r\n",
    "more than it sends": b"$999999999999\r\n",
    "nested without end": b"*1\r\n" * 5_000,
    "a replica": b"-READONLY You can't write against a read only replica.\r\n",
    "no memory": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "a password": b"-NOAUTH Authentication required.\r\n",
    "nothing": b"$-1\r\n",
}


@asynccontextmanager
async def lying_redis(answer: bytes | None) -> AsyncGenerator[str]:
    """Run a server that answers each command with this text, or never."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65_536):
                if answer is not None:
                    writer.write(answer * 10)
                    await writer.drain()
        except (OSError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()


async def take(limiter: RateLimiter, operation: Operation, times: int) -> int:
    """Return how many of the calls pass the limit."""
    served = 0
    for _ in range(times):
        try:
            await limiter.take(CALLER, operation)
            served += 1
        except RateLimitedError:
            pass
    return served


@pytest.mark.parametrize("answer", LIES.values(), ids=LIES.keys())
async def test_reads_pass_and_writes_are_counted_in_process_whatever_redis_answers(answer: bytes | None) -> None:
    """The timeout of Redis is waited for once, not in each request."""
    async with lying_redis(answer) as url:
        clients = RedisClients(url)
        limiter = RateLimiter(RULES, SystemClock(), clients)
        began = monotonic()
        reads, writes = await take(limiter, READ, 10), await take(limiter, WRITE, 10)
        took = monotonic() - began
        await clients.close()

    assert (reads, writes) == (10, RULES.key)
    assert took < 3


@pytest.mark.parametrize("answer", [LIES["silence"], LIES["a text"], LIES["nested without end"]])
async def test_balances_come_from_the_ledger_whatever_redis_answers(database_url: str, answer: bytes | None) -> None:
    async with (
        lying_redis(answer) as url,
        open_gateway(settings_for(database_url, redis_url=url)) as gateway,
    ):
        await gateway.grant("ada", 10)
        used = await gateway.post("/api/usage", {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"})
        balances = [(await gateway.get("/api/wallets/ada")).data["balance"] for _ in range(3)]

    assert used.status == 201, used.body
    assert balances == [5] * 3


async def test_limits_work_with_a_redis_that_is_full_a_replica_or_holds_other_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "_AWAY_SECONDS", 0)
    async with redis_server(tmp_path) as server:
        clients = RedisClients(server.url)
        limiter = RateLimiter(RULES, SystemClock(), clients)
        client: Any = cast("Any", Redis).from_url(server.url)
        assert await take(limiter, WRITE, 1) == 1
        (name,) = await client.keys("*")

        async def outcome() -> tuple[int, int]:
            fresh = RateLimiter(RULES, SystemClock(), clients)
            writes = await take(fresh, WRITE, 5)
            return await take(limiter, READ, 5), writes

        await client.delete(name)
        await client.lpush(name, "a list")
        assert await outcome() == (5, RULES.key)
        await client.set(name, "text")
        assert await outcome() == (5, RULES.key)
        await client.flushall()
        await client.config_set("maxmemory", "1")
        assert await outcome() == (5, RULES.key)
        await client.config_set("maxmemory", "0")
        await client.execute_command("REPLICAOF", "127.0.0.1", "1")
        assert await outcome() == (5, RULES.key)
        await client.execute_command("REPLICAOF", "NO", "ONE")

        await client.set(name, "-1000", ex=60)
        headers = await limiter.take(CALLER, READ)
        assert headers["ratelimit-remaining"] == str(RULES.key), "never more than the limit"
        await client.flushall()  # like an eviction
        assert await take(limiter, READ, 5) == RULES.key
        await client.aclose()
        await clients.close()
