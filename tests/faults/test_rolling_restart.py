"""Rolling restart: workers and gateways replaced during traffic, without an error.

`FAREGATE_TEST_REPLACEMENTS` is the number of workers to replace (10); with every third worker, a gateway is replaced, too.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2

from faregate.benchmarks.ports import free_port
from faregate.core.messaging.interfaces import OutgoingMessage
from faregate.credit.proof.verify import Verifier
from faregate.wire import exact_json
from faregate.wire.queues import SETTLE_MULTIMODEL_QUEUE as QUEUE
from faults.processes import ChildProcess, ProcessPool
from faults.roles import KEY
from support.apps import Gateway, open_gateway, settings_for
from support.gateways import listening

REPLACEMENTS = int(os.environ.get("FAREGATE_TEST_REPLACEMENTS", "10"))
BATCH = 20
PREFETCHED = 2 * BATCH
USERS = 20
LINE = {"ai_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}
COST_MICROS = 420_000
_SPEAKS = "select count(*) as n from faregate.heartbeat where instance like cast(:instance as text)"
_SETTLED = """
select count(*) as n, coalesce(sum(consumed), 0) as micros from faregate.charge where status = 1 and shortfall = 0
"""
_CHARGED = "select count(*) as n from faregate.transfer where kind = 2"


class Fleet:
    """Two workers and two gateways that can be replaced."""

    def __init__(self, pool: ProcessPool, gateway: Gateway, settings: Mapping[str, str]) -> None:
        self.ports = [free_port(), free_port()]
        self.left: list[ChildProcess] = []
        self._pool = pool
        self._database = gateway.database
        self._settings = {**settings, "settle_batch_size": BATCH, "rate_limit_key": "0"}
        self._gateways: list[ChildProcess] = []
        self._workers: list[ChildProcess] = []

    async def start(self) -> None:
        self._gateways = [await self._gateway(port) for port in self.ports]
        self._workers = [await self._worker() for _ in range(2)]

    async def replace_worker(self) -> None:
        """Start a new worker, then send SIGTERM to the oldest, as a supervisor does."""
        self._workers.append(await self._worker())
        await self._dismiss(self._workers.pop(0))

    async def replace_gateway(self, number: int) -> None:
        await self._dismiss(self._gateways[number])
        self._gateways[number] = await self._gateway(self.ports[number])

    async def end(self) -> None:
        for child in [*self._workers, *self._gateways]:
            await self._dismiss(child)

    async def _dismiss(self, child: ChildProcess) -> None:
        child.send(signal.SIGTERM)
        async with asyncio.timeout(60):
            await child.ended.wait()
        self.left.append(child)

    async def _gateway(self, port: int) -> ChildProcess:
        child = self._pool.start({"kind": "gateway", "settings": {**self._settings, "port": port}, "seed": port})
        await listening(port)
        return child

    async def _worker(self) -> ChildProcess:
        child = self._pool.start({"kind": "worker", "settings": self._settings, "seed": 1, "counted": QUEUE})
        async with asyncio.timeout(60):
            while not await self._speaks(child):
                await asyncio.sleep(0.05)
        return child

    async def _speaks(self, child: ChildProcess) -> bool:
        async with self._database.transaction(read_only=True) as session:
            (row,) = await self._database.rows(session, _SPEAKS, instance=f"%:{child.pid}")
        return bool(row.n)


class Traffic:
    """Uses of a feature by HTTP and by message; whatever fails ends the test.

    Like any balancer, a caller turns to the other gateway when one lets nobody in.
    """

    def __init__(self, gateway: Gateway, ports: list[int]) -> None:
        self.counts = Counter[str]()
        self._transport = gateway.container.transport()
        self._ports = ports
        self._uses = 0

    async def call(self, stop: asyncio.Event) -> None:
        headers = {"x-server-api-key": KEY, "content-type": "application/json"}
        limits = httpx2.Limits(max_keepalive_connections=0)
        async with httpx2.AsyncClient(headers=headers, limits=limits, timeout=30) as http:
            while not stop.is_set():
                await self._use(http)

    async def publish(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._transport.publish(QUEUE, [OutgoingMessage(exact_json.dumps(self._body())) for _ in range(25)])
            self.counts["published"] += 25
            await asyncio.sleep(0.05)

    async def _use(self, http: httpx2.AsyncClient) -> None:
        """Start, and settle: at once, or by way of the queue."""
        body = self._body()
        started = {name: value for name, value in body.items() if name != "usages"}
        assert (await self._post(http, "start", started)).status_code == 200
        if self._uses % 2:
            assert (await self._post(http, "end-multimodel", body)).status_code == 200
            self.counts["settled by HTTP"] += 1
        else:
            assert (await self._post(http, "end-multimodel", body, prefer="respond-async")).status_code == 202
            self.counts["published"] += 1

    async def _post(self, http: httpx2.AsyncClient, call: str, body: Any, **headers: str) -> httpx2.Response:
        self._ports.reverse()
        content = exact_json.dumps(body)
        urls = [f"http://127.0.0.1:{port}/api/credits-process/{call}" for port in self._ports]
        try:
            return await http.post(urls[0], content=content, headers=headers)
        except (httpx2.ConnectError, httpx2.ReadError):  # refused, or reset while it waited to be accepted
            self.counts["turned to the other gateway"] += 1
            return await http.post(urls[1], content=content, headers=headers)

    def _body(self) -> dict[str, Any]:
        self._uses += 1
        user = f"user{self._uses % USERS}"
        return {"user_id": user, "feature_endpoint_value": "chat", "usage_key": f"use-{self._uses}", "usages": [LINE]}


@asynccontextmanager
async def _fleet(gateway: Gateway, settings: Mapping[str, str], log: Path) -> AsyncGenerator[Fleet]:
    pool = ProcessPool(log)
    await pool.open()
    fleet = Fleet(pool, gateway, settings)
    try:
        await fleet.start()
        yield fleet
        await fleet.end()
    finally:
        await pool.close()
    assert pool.failures == []


async def _until_settled(gateway: Gateway, count: int) -> None:
    async with asyncio.timeout(60):
        while (await _one(gateway, _SETTLED)).n < count:
            await asyncio.sleep(0.1)


async def _one(gateway: Gateway, sql: str) -> Any:
    async with gateway.database.transaction(read_only=True) as session:
        (row,) = await gateway.database.rows(session, sql)
    return row


async def test_workers_and_gateways_are_replaced_during_traffic_without_an_error(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    settings = {"database_url": database_url, "broker_url": broker_url}
    async with open_gateway(settings_for(**settings)) as gateway:
        await gateway.feature("chat", min_credits=Decimal("0.1"))
        for number in range(USERS):
            await gateway.grant(f"user{number}", 1_000_000)
        async with _fleet(gateway, settings, tmp_path / "children.log") as fleet:
            traffic, stop = Traffic(gateway, list(fleet.ports)), asyncio.Event()
            async with asyncio.TaskGroup() as callers:
                for work in (traffic.call, traffic.call, traffic.publish):
                    callers.create_task(work(stop))
                for number in range(REPLACEMENTS):
                    await fleet.replace_worker()
                    if number % 3 == 2:
                        await fleet.replace_gateway(number % 2)
                stop.set()
            uses = traffic.counts["published"] + traffic.counts["settled by HTTP"]
            await _until_settled(gateway, uses)
        settled, charged = await _one(gateway, _SETTLED), await _one(gateway, _CHARGED)
        dead = [letter async for letter in gateway.container.transport().dead_letters()]
        found = await Verifier(gateway.database).verify()

    workers = [child for child in fleet.left if child.order["kind"] == "worker"]
    counts = sum((child.counts for child in workers), Counter[str]())
    print(dict(traffic.counts), dict(counts))
    assert [child.code for child in fleet.left] == [0] * len(fleet.left)
    assert len(workers) == REPLACEMENTS + 2
    assert (settled.n, settled.micros, charged.n) == (uses, uses * COST_MICROS, uses)
    assert (dead, found.drifts) == ([], ())
    assert counts["taken"] == counts["decided"] == traffic.counts["published"]
    assert counts["tried before"] == 0
    assert counts["redelivered"] <= REPLACEMENTS * PREFETCHED
