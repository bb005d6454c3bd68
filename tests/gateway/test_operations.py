"""Operation of the gateway: probes, metrics, access log, limits, graceful stop, several workers, backups."""

import asyncio
import json
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from faregate.core.clock import SystemClock
from faregate.gateway.http.rate_limits import LimitRules, RateLimiter
from faregate.gateway.http.redis_clients import RedisClients
from support.apps import KEY, Gateway, open_gateway, settings_for
from support.gateways import start_gateway
from support.mentions import mentions
from support.people import SECRET, bearer
from support.processes import run_command
from support.redis import redis_server


async def test_metrics_count_by_route_without_ids(gateway: Gateway) -> None:
    for user in ("ada", "bela"):
        await gateway.get(f"/api/wallets/{user}")
    await gateway.get("/nowhere/ada")
    text = (await gateway.http.get("/metrics")).text

    assert 'faregate_http_requests_total{method="GET",route="/api/wallets/{owner_id}",status="404"} 2.0' in text
    assert 'route="unknown"' in text
    assert not mentions(text, "ada")
    assert 'faregate_queue_messages{queue="credits_process_end_queue"} 0.0' in text


async def test_only_the_credential_beyond_its_limit_is_refused(database_url: str) -> None:
    settings = settings_for(database_url, jwt_secret=SECRET, rate_limit_user=5)
    async with open_gateway(settings) as gateway:
        answers = [await gateway.call("GET", "/api/wallets/me", headers=bearer("ada")) for _ in range(6)]
        other = await gateway.call("GET", "/api/wallets/me", headers=bearer("bela"))

    assert [a.status for a in answers] == [404] * 5 + [429]
    assert [a.headers["ratelimit-remaining"] for a in answers[:5]] == ["4", "3", "2", "1", "0"]
    assert 1 <= int(answers[5].headers["retry-after"]) <= 60
    assert (answers[5].error["code"], other.status) == ("rate_limited", 404)


async def test_wrong_credentials_are_rate_limited(database_url: str) -> None:
    async with open_gateway(settings_for(database_url, rate_limit_refused=3)) as gateway:
        wrong = {"x-server-api-key": "fg_live_guess"}
        answers = [await gateway.call("GET", "/api/usage", headers=wrong) for _ in range(5)]
        right = await gateway.get("/api/usage")

    assert ([a.status for a in answers], right.status) == ([401] * 3 + [429] * 2, 200)


async def test_limits_are_shared_through_redis_and_fail_open_for_reads(tmp_path: Path) -> None:
    rules = LimitRules(key=4, admin=4, analyst=4, user=4, refused=4)
    async with redis_server(tmp_path) as redis:
        clients = [RedisClients(redis.url) for _ in range(2)]
        one, two = (RateLimiter(rules, SystemClock(), each) for each in clients)
        shared = [await allowed(limiter, reading=False) for limiter in (one, two, one, two, one)]
    reads = [await allowed(one, reading=True) for _ in range(9)]
    writes = [await allowed(one, reading=False) for _ in range(5)]
    for each in clients:
        await each.close()

    assert shared == [True] * 4 + [False]
    assert (reads, writes) == ([True] * 9, [True] * 4 + [False])
    assert one.uncounted == 9


async def test_expensive_calls_have_few_slots(gateway: Gateway) -> None:
    from dataclasses import replace

    from faregate.gateway.errors import RateLimitedError
    from faregate.gateway.http.operation import operations_of

    (found, *_), *_ = (operations_of(c) for c in gateway.container.controllers())
    heavy = replace(found[0], concurrency=2)
    limiter = gateway.container.limiter()
    with limiter.slot(heavy), limiter.slot(heavy), pytest.raises(RateLimitedError), limiter.slot(heavy):
        pass
    with limiter.slot(heavy):
        pass


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.02)


async def _shows(http: httpx2.AsyncClient, line: str) -> bool:
    return line in (await http.get("/metrics")).text


async def _serves(url: str, *, requests: int) -> bool:
    async with httpx2.AsyncClient(base_url=url) as http:
        return f"faregate_http_requests_running {requests}.0" in (await http.get("/metrics")).text


async def _refuses_connections(url: str) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(url).port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def test_requests_in_flight_are_finished_on_a_stop(database_url: str) -> None:
    process, url = await start_gateway(database_url)
    head = (
        f"POST /api/wallets/ada/grants HTTP/1.1\r\nhost: x\r\nx-server-api-key: {KEY}\r\n"
        "content-type: application/json\r\ncontent-length: 38\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(url).port)
    writer.write(head.encode() + b'{"credits": 5, ')
    await _until(lambda: _serves(url, requests=2))  # the grant, and the reading of the metrics
    process.send_signal(signal.SIGTERM)
    await _until(lambda: _refuses_connections(url))
    writer.write(b'"source": "purchase"}  ')
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()

    assert answer.startswith(b"HTTP/1.1 201")
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_several_workers_share_a_port_and_add_up_their_metrics(database_url: str) -> None:
    process, url = await start_gateway(database_url, "--workers", "2")
    try:
        async with httpx2.AsyncClient(base_url=url, headers={"x-server-api-key": KEY}) as http:
            statuses = {(await http.get("/api/usage", headers={"connection": "close"})).status_code for _ in range(20)}
            # a request is counted after its answer has been sent, so that the last may still be missing
            await _until(lambda: _shows(http, 'requests_total{method="GET",route="/api/usage",status="200"} 20.0'))
    finally:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)

    assert statuses == {200}


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_the_access_log_is_one_event_per_request(database_url: str, workers: str) -> None:
    logged = {"FAREGATE_ACCESS_LOG": "true", "FAREGATE_LOG_FORMAT": "json"}
    process, url = await start_gateway(database_url, "--workers", workers, **logged)
    async with httpx2.AsyncClient(base_url=url) as http:
        await http.get("/api/wallets/ada", headers={"x-server-api-key": KEY, "x-request-id": "req-7"})
    process.send_signal(signal.SIGTERM)
    _, log = await process.communicate()
    (event,) = [json.loads(line) for line in log.decode().splitlines() if '"req-7"' in line]

    assert (event["event"], event["route"], event["status"], event["caller"]) == (
        "request",
        "/api/wallets/{owner_id}",
        404,
        "bootstrap",
    )
    assert KEY not in log.decode()


async def test_traces_reach_a_collector(database_url: str) -> None:
    """A span per request, with the template of its route and the caller's trace."""
    got: list[bytes] = []

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]
        got.append(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    collector = await asyncio.start_server(collect, "127.0.0.1", 0)
    port = collector.sockets[0].getsockname()[1]
    environment = {"FAREGATE_OTEL_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    process, url = await start_gateway(database_url, **environment)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with httpx2.AsyncClient(base_url=url) as http:
        await http.get("/api/wallets/ada", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    for _ in range(100):
        if got:
            break
        await asyncio.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    await process.wait()
    collector.close()

    assert bytes.fromhex(trace) in got[0]
    assert b"/api/wallets/{owner_id}" in got[0]


async def test_a_backup_is_restored_and_verified(gateway: Gateway, database_url: str, tmp_path: Path) -> None:
    await gateway.grant("ada", 12)
    file = tmp_path / "all.backup"
    environment = {"FAREGATE_DATABASE_URL": database_url}
    made = await run_command("backup", str(file), **environment)
    again = await run_command("backup", str(file), **environment)
    await gateway.grant("ada", 30)
    refused = await run_command("restore", str(file), **environment)
    restored = await run_command("restore", str(file), "--replace", **environment)

    assert (made.code, again.code, refused.code, restored.code) == (0, 2, 2, 0), restored
    assert "0 drifts" in restored.out
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 12


async def test_a_damaged_backup_changes_nothing(gateway: Gateway, database_url: str, tmp_path: Path) -> None:
    await gateway.grant("ada", 12)
    file, environment = tmp_path / "all.backup", {"FAREGATE_DATABASE_URL": database_url}
    await run_command("backup", str(file), **environment)
    file.write_bytes(file.read_bytes()[:-2_000])
    failed = await run_command("restore", str(file), "--replace", **environment)
    verified = await run_command("verify", **environment)

    assert (failed.code, verified.code) == (1, 0), failed
    assert "pg_restore failed" in failed.err
    assert (await gateway.get("/api/wallets/ada")).data["balance"] == 12


async def test_keys_and_audit_by_command(gateway: Gateway, database_url: str) -> None:
    environment = {"FAREGATE_DATABASE_URL": database_url}
    made = json.loads(
        (await run_command("keys", "create", "shop", "--scope", "wallets:read", "-o", "json", **environment)).out
    )
    used = await gateway.call("GET", "/api/wallets/ada", headers={"x-server-api-key": made["key"]})
    wrong = await run_command("keys", "create", "shop", "--scope", "everything", **environment)
    revoked = await run_command("keys", "revoke", made["key_id"], **environment)
    listed = json.loads((await run_command("keys", "list", "-o", "json", **environment)).out)
    await gateway.grant("ada", 1)
    audit = json.loads((await run_command("audit", "--owner", "ada", "-o", "json", **environment)).out)

    assert (used.status, wrong.code, revoked.code) == (404, 1, 0)
    assert listed[0]["revoked_at"] is not None
    assert [entry["action"] for entry in audit] == ["wallets.add_grant"]


async def allowed(limiter: RateLimiter, *, reading: bool) -> bool:
    from faregate.gateway.errors import RateLimitedError

    try:
        await limiter._count("principal:x", 4, reading=reading)
    except RateLimitedError:
        return False
    return True
