"""One client on several event loops, one after the other and at the same time."""

import asyncio
import gc
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from faregate.client import CreditsClient, FakeCredits, FeatureLogger, ModelUsage, Outage, Retry, one_credit
from faregate.client.request_bodies import EVENTS_PATH, LOG_PATH
from faregate.client.transport.retrying import CircuitBreaker
from faregate.wire import exact_json

GPT = ModelUsage("gpt-4o", 1000, 100)


class _Server(ThreadingHTTPServer):
    """A gateway over sockets that accepts events and logs; `open_connections` counts what clients have not closed."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Condition()
        self.connections = 0
        self.most = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self, change: int) -> None:
        with self.lock:
            self.connections += change
            self.most = max(self.most, self.connections)
            self.lock.notify_all()

    def all_closed(self) -> bool:
        with self.lock:
            return self.lock.wait_for(lambda: self.connections == 0, timeout=5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _counted(self) -> _Server:
        assert isinstance(self.server, _Server)
        return self.server

    def setup(self) -> None:
        super().setup()
        self._counted.count(1)

    def finish(self) -> None:
        super().finish()
        self._counted.count(-1)

    def do_POST(self) -> None:
        body = exact_json.loads(self.rfile.read(int(self.headers["content-length"])))
        answers = {EVENTS_PATH: {"accepted": len(body), "duplicates": 0, "rejected": []}, LOG_PATH: {"id": "1"}}
        content = exact_json.dumps({"success": True, "status": 200, "message": "OK", "data": answers[self.path]})
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def _record(client: CreditsClient) -> int:
    return (await client.record_events([{"user_id": "ada", "service": "chat"}])).accepted


def test_each_run_of_asyncio_gets_its_own_connections_and_leaves_none(server: _Server) -> None:
    client = CreditsClient(server.url, "fg_x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            assert asyncio.run(_record(client)) == 1
            assert server.all_closed()
        gc.collect()


def test_threads_with_their_own_loops_share_a_client(server: _Server) -> None:
    client = CreditsClient(server.url, "fg_x")
    together = threading.Barrier(4, timeout=10)

    def use(_: int) -> int:
        async def several() -> int:
            first = await _record(client)
            await asyncio.to_thread(together.wait)
            return first + await _record(client)

        return asyncio.run(several())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(use, range(4))) == [2] * 4
    assert server.most == 4
    assert server.all_closed()


def test_closing_a_client_closes_the_connections_of_other_loops(server: _Server) -> None:
    client = CreditsClient(server.url, "fg_x")
    used, done = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        await _record(client)
        used.set()
        await asyncio.to_thread(done.wait, 10)

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    assert used.wait(10)
    asyncio.run(client.aclose())
    assert server.all_closed()
    done.set()
    thread.join()


def test_a_closed_client_can_be_entered_again(server: _Server) -> None:
    client = CreditsClient(server.url, "fg_x")

    async def whole() -> int:
        async with client:
            return await _record(client)

    assert [asyncio.run(whole()), asyncio.run(whole())] == [1, 1]
    assert server.all_closed()


def test_a_loop_that_was_closed_by_hand_does_not_disturb_the_next_one(server: _Server) -> None:
    client = CreditsClient(server.url, "fg_x")
    for _ in range(2):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(_record(client)) == 1
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    assert server.all_closed()


def test_a_logger_sends_on_each_loop(server: _Server) -> None:
    logger = FeatureLogger(server.url, "fg_x")

    async def log() -> str | None:
        return await logger.dispatch_to_api({"user_id": "ada"})

    assert [asyncio.run(log()), asyncio.run(log())] == ["1", "1"]
    assert server.all_closed()


def test_spool_and_debts_are_shared_by_all_loops(tmp_path: Path) -> None:
    """What one loop could not send, the next one sends."""
    credits = FakeCredits(
        pricing=one_credit,
        spool_dir=tmp_path,
        outage={"chat": Outage.open(debt_limit_credits=2)},
        retry=Retry(attempts=1),
    )

    async def use() -> str:
        async with credits.use("chat", "ada") as use:
            use.add("gpt-4o", input_tokens=1)
        return use.result.state

    credits.gateway.down = True
    assert [asyncio.run(use()), asyncio.run(use())] == ["pending", "pending"]
    assert credits.debt("chat") == 2

    credits.gateway.down = False
    credits._gateway._breaker = CircuitBreaker()
    assert asyncio.run(credits.drain())
    assert (credits.debt("chat"), credits.gateway.free("ada")) == (0, Decimal(98))


def test_loops_do_not_send_the_spool_twice(tmp_path: Path) -> None:
    credits = FakeCredits(pricing=one_credit, spool_dir=tmp_path)
    credits.gateway.down = True

    async def settle() -> None:
        for number in range(20):
            await credits.settle_via_queue("chat", user_id="ada", usage_key=f"k{number}", usages=[GPT])

    asyncio.run(settle())
    credits.gateway.down = False
    credits._gateway._breaker = CircuitBreaker()
    with ThreadPoolExecutor(4) as pool:
        emptied = list(pool.map(lambda _: asyncio.run(credits.drain()), range(4)))

    assert (emptied, len(credits.settled)) == ([True] * 4, 20)


def test_a_block_may_end_on_another_loop_than_it_began() -> None:
    credits = FakeCredits(pricing=one_credit)
    charge = credits.use("chat", "ada")
    use = asyncio.run(charge.open())
    use.add("gpt-4o", input_tokens=1)
    asyncio.run(charge.finish())

    assert (use.result.state, use.result.charged) == ("settled", 1)
