"""Health, readiness and metrics of a worker."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import httpx2
import pytest
from faults.proxy import Proxy

from faregate.benchmarks.ports import free_port
from faregate.core.errors import ConfigurationError
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.core.settings import Settings
from faregate.credit.interfaces import Payment
from faregate.credit.services.ledger_session import TOP_UP_QUEUE
from faregate.credit.services.top_ups import OnAccountProvider
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE
from faregate.worker.container import WorkerContainer
from support.apps import Gateway, open_gateway, running_worker, settings_for
from support.mentions import mentions
from support.rabbitmq import RabbitServer

LINE = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
COST = Decimal("0.42")


async def _eventually(look: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await look():
            await asyncio.sleep(0.05)


async def _get(http: httpx2.AsyncClient, path: str) -> httpx2.Response:
    """Call as soon as the worker listens."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await http.get(path)
            except httpx2.TransportError:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def _working(settings: Settings) -> AsyncGenerator[httpx2.AsyncClient]:
    async with (
        running_worker(settings),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{settings.worker_port}") as http,
    ):
        await _get(http, "/healthz")
        yield http


async def _publish(gateway: Gateway, *bodies: object) -> None:
    messages = [OutgoingMessage(exact_json.dumps(body)) for body in bodies]
    await gateway.container.transport().publish(SETTLE_MULTIMODEL_QUEUE, messages)


def _value(text: str, sample: str) -> float | None:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


async def test_a_worker_counts_settlements_dead_letters_and_shortfalls(database_url: str) -> None:
    settings = settings_for(database_url, worker_port=free_port())
    body = {"user_id": "ada", "feature_endpoint_id": "chat", "usages": [LINE]}
    async with open_gateway(settings) as gateway:
        await gateway.feature("chat", min_credits=0)
        await gateway.grant("ada", 1)
        await gateway.start("ada", "chat", estimated_credits=Decimal("0.5"))
        keys = [{**body, "usage_key": f"use-{number}"} for number in (1, 2, 2, 3)]
        await _publish(gateway, *keys, {"user_id": "ada", "usages": "many"})
        async with _working(settings) as http:

            async def settled() -> bool:
                return _value((await http.get("/metrics")).text, f"faregate_queue_messages{{{queue}}}") == 0

            queue = f'queue="{SETTLE_MULTIMODEL_QUEUE}"'
            await _eventually(settled)
            text, ready = (await http.get("/metrics")).text, await http.get("/readyz")
        seen = (await gateway.http.get("/metrics")).text

    assert _value(text, 'faregate_settlements_total{outcome="settled"}') == 3
    assert _value(text, 'faregate_settlements_total{outcome="repeated"}') == 1
    assert _value(text, f'faregate_messages_total{{decision="acknowledged",{queue}}}') == 4
    assert _value(text, f'faregate_messages_total{{decision="dead",{queue}}}') == 1
    assert _value(text, f"faregate_batch_messages_sum{{{queue}}}") == 5
    assert (_value(text, f"faregate_batch_seconds_sum{{{queue}}}") or 0) > 0
    # 0.5 of the one credit is held for a running use; three uses at 0.42 need 1.26
    assert _value(text, "faregate_shortfalls_total") == 2
    assert _value(text, "faregate_shortfall_credits_total") == pytest.approx(0.76)
    for told in (text, seen):
        assert _value(told, "faregate_dead_letters") == 1
        assert _value(told, "faregate_open_holds") == 1
        assert _value(told, "faregate_open_hold_credits") == 0.5
        assert _value(told, f"faregate_queue_oldest_seconds{{{queue}}}") == 0
    assert _value(text, "faregate_workers") == 1
    assert (_value(text, "faregate_settlement_lag_seconds") or 0) < 15
    assert not mentions(text, "ada")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


async def test_retries_are_counted(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payment provider does not answer: nothing is settled, and nothing is lost."""

    async def unanswered(_self: object, _order: object) -> Payment:
        raise ConnectionError("no answer")

    monkeypatch.setattr(OnAccountProvider, "pay", unanswered)
    settings = settings_for(database_url, top_up_provider="on_account", worker_port=free_port())
    async with open_gateway(settings) as gateway:
        await gateway.grant("ada", 10)
        await gateway.put("/api/wallets/ada", {"top_up": {"below": 8, "credits": 50}})
        await gateway.post("/api/usage", {"user_id": "ada", "feature_key": "GENERATE_QUESTION_PAPER"})
        async with _working(settings) as http:

            async def retried() -> bool:
                text = (await http.get("/metrics")).text
                return _value(text, f'faregate_messages_total{{decision="retried",queue="{TOP_UP_QUEUE}"}}') == 1

            await _eventually(retried)
            text = (await http.get("/metrics")).text

    assert _value(text, "faregate_dead_letters") == 0


async def test_holds_that_outlast_their_time_are_counted_while_settlement_is_behind(database_url: str) -> None:
    settings = settings_for(database_url, worker_port=free_port())
    async with open_gateway(settings) as gateway:
        core = gateway.container.core.container
        late = core.clock().now() - timedelta(minutes=1)
        await core.heartbeats().report("slow worker", "worker", settled_until=late)
        await gateway.feature("chat", min_credits=0)
        await gateway.grant("ada", 1)
        await gateway.start("ada", "chat", estimated_credits=Decimal("0.5"), ttl_seconds=1)
        await gateway.start("ada", "chat", estimated_credits=Decimal("0.25"))
        async with _working(settings) as http:

            async def lapsed() -> bool:
                return _value((await http.get("/metrics")).text, "faregate_lapsed_holds") == 1

            await _eventually(lapsed)
        seen = (await gateway.http.get("/metrics")).text

    assert _value(seen, "faregate_lapsed_holds") == 1
    assert _value(seen, "faregate_open_holds") == 2


async def test_the_age_of_unread_messages_grows(database_url: str) -> None:
    async with open_gateway(settings_for(database_url)) as gateway:
        await _publish(gateway, {"user_id": "ada"})
        age = f'faregate_queue_oldest_seconds{{queue="{SETTLE_MULTIMODEL_QUEUE}"}}'
        first = _value((await gateway.http.get("/metrics")).text, age) or 0

        async def grown() -> bool:
            return (_value((await gateway.http.get("/metrics")).text, age) or 0) > first

        await _eventually(grown)
        text = (await gateway.http.get("/metrics")).text

    assert first < (_value(text, age) or 0) < 15
    assert _value(text, "faregate_workers") == 0
    assert "faregate_settlement_lag_seconds" not in text


async def test_readyz_names_the_unavailable_broker(
    database_url: str, rabbitmq_server: RabbitServer, broker_url: str
) -> None:
    proxy = Proxy(lambda: asyncio.open_connection("127.0.0.1", rabbitmq_server.port))
    await proxy.listen()
    beyond = broker_url.replace(str(rabbitmq_server.port), str(proxy.port))
    async with _working(settings_for(database_url, broker_url=beyond, worker_port=free_port())) as http:

        async def ready() -> bool:
            return (await http.get("/readyz")).status_code == 200

        async def not_ready() -> bool:
            return not await ready()

        await _eventually(ready)
        dead = _value((await http.get("/metrics")).text, "faregate_dead_letters")
        await proxy.close()
        await _eventually(not_ready)
        answer = (await http.get("/readyz")).json()
        text = (await http.get("/metrics")).text

    checks = {check["name"]: check for check in answer["checks"]}
    assert dead == 0
    assert (checks["database"]["ok"], checks["consumers"]["ok"]) == (True, False)
    assert SETTLE_MULTIMODEL_QUEUE in checks["consumers"]["detail"]
    assert (_value(text, f'faregate_interruptions_total{{queue="{SETTLE_MULTIMODEL_QUEUE}"}}') or 0) >= 1
    assert _value(text, "faregate_workers") == 1
    assert "faregate_dead_letters " not in text


async def test_a_port_in_use_is_refused_with_its_setting(database_url: str) -> None:
    async with open_gateway(settings_for(database_url)):
        pass
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    container = WorkerContainer(settings=settings_for(database_url, worker_port=port))
    try:
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port} .*FAREGATE_WORKER_PORT"):
            container.probes()
    finally:
        server.close()


def test_a_worker_without_a_port_listens_nowhere(database_url: str) -> None:
    assert WorkerContainer(settings=settings_for(database_url)).probes() == []
