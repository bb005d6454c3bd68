"""Abusive requests on a real socket: refused early, others are served, memory grows by at most 64 MB."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from faregate.core.access.key_format import new_key
from faregate.core.access.key_store import KeyStore
from faregate.core.db.database import Database
from faregate.core.messaging.postgres_transport import PostgresTransport
from faregate.gateway.http import body as reading
from faregate.gateway.http.rate_limits import RateLimiter
from support.apps import KEY, Answer, Gateway
from support.gateways import start_gateway

PATH = "/api/wallets/ada/grants"
HEAD = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nx-server-api-key: {KEY}\r\ncontent-type: application/json\r\n"


@dataclass
class Served:
    """A gateway in a separate process."""

    url: str
    pid: int
    opened: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def memory_mb(self) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))

    def start_measuring(self) -> float:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.memory_mb

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opened = await asyncio.open_connection("127.0.0.1", httpx2.URL(self.url).port, limit=1 << 20)
        self.opened.append(opened[1])
        return opened

    async def healthy(self) -> bool:
        async with httpx2.AsyncClient() as http:
            return (await http.get(f"{self.url}/readyz", timeout=10)).status_code == 200


@pytest.fixture
async def served(database_url: str) -> AsyncIterator[Served]:
    process, url = await start_gateway(database_url)
    served = Served(url, process.pid)
    yield served
    for writer in served.opened:
        if not writer.transport.is_closing():
            writer.transport.abort()
    await asyncio.sleep(0)
    process.kill()  # a graceful stop is tested elsewhere; this test leaves connections open
    await process.wait()


async def pour(writer: asyncio.StreamWriter, chunk: bytes, times: int) -> int:
    """Write until the other side closes the connection; return the number of successful writes."""
    for sent in range(times):
        if writer.transport.is_closing():
            return sent
        try:
            writer.write(chunk)
            await writer.drain()
        except (ConnectionError, OSError):
            return sent
    return times


async def test_floods_are_refused_in_bounded_memory(served: Served) -> None:
    """A 10 GB chunked body, 100 MB of headers, one header of 100 MB, and 300 slow bodies at once."""
    assert await served.healthy()
    before = served.start_measuring()

    reader, writer = await served.open()
    writer.write(f"{HEAD}transfer-encoding: chunked\r\n\r\n".encode())
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    poured = asyncio.create_task(pour(writer, piece, 10 * 1024**3 // 65536))
    answer = await asyncio.wait_for(reader.read(4096), 20)
    writer.close()
    sent = await asyncio.wait_for(poured, 20)
    assert answer.startswith(b"HTTP/1.1 413")
    assert sent < 1600, "it went on reading far beyond the limit"

    for chunk in (b"x-flood: " + b"y" * 1000 + b"\r\n", b"z" * 65536):
        reader, writer = await served.open()
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-big: ")
        sent = await pour(writer, chunk, 100 * 1024**2 // len(chunk))
        writer.close()
        assert sent * len(chunk) < 32 * 1024**2, "it went on reading headers"

    slow = [await served.open() for _ in range(300)]
    for _, writer in slow:
        writer.write(f"{HEAD}content-length: 1000\r\n\r\n{{".encode())
    assert await served.healthy()
    for _, writer in slow:
        writer.close()

    assert served.memory_mb - before < 64


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        pytest.param(b"[" * 100_000 + b"]" * 100_000, {}, 400, id="depth"),
        pytest.param(b'{"a":' * 100_000, {}, 400, id="depth of objects"),
        pytest.param(b'{"credits": 1, "credits": 2}', {}, 400, id="duplicate key"),
        pytest.param(b'{"credits": NaN}', {}, 400, id="NaN"),
        pytest.param(b'{"credits": ' + b"9" * 500_000 + b"}", {}, 400, id="digits"),
        pytest.param(b'{"credits": 1e999999999}', {}, 400, id="exponent"),
        pytest.param(b"\xff\xfe{}", {}, 400, id="not UTF-8"),
        pytest.param('{"reason": "ä"}'.encode("utf-16"), {}, 400, id="UTF-16"),
        pytest.param(b'{"reason": "\\u0000"}', {}, 400, id="NUL"),
        pytest.param(b'{"reason": "\\ud800"}', {}, 400, id="half a pair"),
        pytest.param(b"", {}, 400, id="empty"),
        pytest.param(b"{}", {"content-type": "application/json; charset=latin-1"}, 415, id="charset"),
        pytest.param(b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415, id="form"),
        pytest.param(gzip.compress(b" " * 10_000_000), {"content-encoding": "gzip"}, 413, id="gzip bomb"),
        pytest.param(b" " * (1024 * 1024 + 1), {}, 413, id="too large"),
        pytest.param(b"[" + b"{}," * 1001 + b"{}]", {}, 422, id="items"),
    ],
)
async def test_a_malicious_body_is_refused(
    gateway: Gateway, content: bytes, headers: dict[str, str], status: int
) -> None:
    refused = await gateway.call("POST", PATH, content, headers=headers)

    assert (refused.status, refused.body["success"]) == (status, False)
    assert (await gateway.get("/api/wallets/ada")).status == 404


async def test_a_body_that_arrives_too_slowly_is_refused(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_CHUNK_SECONDS", 0.05)

    async def drip() -> AsyncIterator[bytes]:
        yield b'{"credits":'
        await asyncio.Event().wait()

    async def receive() -> dict[str, object]:
        try:
            return {"type": "http.request", "body": await anext(dripping), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    dripping = drip()
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    headers = [(b"x-server-api-key", KEY.encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers, "query_string": b"", "client": None}
    await gateway.app(scope, receive, send)  # type: ignore[arg-type]

    assert sent[0]["status"] == 408


FAULTS = [
    OSError("/var/lib/secret: permission denied"),
    ConnectionRefusedError(111, "Connect call failed ('10.1.2.3', 5672)"),
    RuntimeError('Traceback (most recent call last): File "/usr/lib/secret.py"'),
    ValueError("select secret from faregate.wallet where password = 'hunter2' at 10.1.2.3:5432"),
]
INTERNAL = ("secret", "hunter2", "traceback", "10.1.2.3", "select ", "/usr", "/var", "errno", "5672")
GRANT = {"credits": 1, "source": "bonus"}
END = {"user_id": "ada", "usage_key": "k1", "feature_endpoint_value": "chat", "ai_model": "gpt-4o", "input_tokens": 1,
       "output_tokens": 1}  # fmt: skip
LOG = {"user_id": "ada", "feature_endpoint_value": "chat", "method": "POST", "code": 200, "status": "success"}


def told(answer: Answer) -> str:
    """Return an answer as text, without the request id."""
    return str(answer.body).lower().replace(str(answer.error.get("request_id", "")), "")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize(
    ("broken", "calls", "statuses"),
    [
        pytest.param(
            (Database, "rows"),
            [("GET", "/api/wallets/ada", None), ("GET", "/api/usage", None), ("GET", "/api/keys", None),
             ("POST", PATH, GRANT), ("GET", "/api/audit", None), ("PUT", "/api/wallets/ada", {"plan": "x"}),
             ("POST", "/api/credits-process/end", END), ("GET", "/api/analytics/dashboard", None),
             ("POST", "/api/usage-events", {"user_id": "ada", "service": "chat"}), ("GET", "/readyz", None)],
            {500, 503},
            id="database",
        ),
        pytest.param(
            (PostgresTransport, "publish"),
            [("POST", "/api/credits-process/end", END), ("POST", "/api/feature-usage-logs", LOG)],
            {500, 503},
            id="broker",
        ),
        pytest.param((PostgresTransport, "backlog"), [("GET", "/readyz", None)], {500, 503}, id="queues"),
        pytest.param((RateLimiter, "take"), [("GET", "/api/usage", None)], {500, 503}, id="limits"),
        pytest.param((KeyStore, "check"), [("GET", "/api/usage", None)], {500, 503}, id="keys"),
    ],
)  # fmt: skip
async def test_no_error_answer_contains_internal_details(
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    broken: tuple[type, str],
    calls: list[tuple[str, str, Any]],
    statuses: set[int],
) -> None:
    """Faults of each dependency: no answer contains SQL, a path, a stack trace or an address."""

    async def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(*broken, fail)
    for method, path, content in calls:
        headers = {"prefer": "respond-async"} if method == "POST" else {}
        if broken[0] is KeyStore:
            headers["x-server-api-key"] = str(new_key("live"))
        answer = await gateway.call(method, path, content, headers=headers)
        assert answer.status in statuses, (path, answer.body)
        assert not [word for word in INTERNAL if word in told(answer)], answer.body
