"""Roles of forked processes: worker, gateway and publisher."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2

from faregate.cli.demo.serving import Gateway
from faregate.core.db.schedule import Job, Schedule
from faregate.core.errors import FaregateError
from faregate.core.messaging.interfaces import ITransport, OutgoingMessage
from faregate.core.settings import Settings, isolated_settings
from faregate.usage.service import UsageService
from faregate.usage.values import FeatureRef, StartRequest
from faregate.worker.container import WorkerContainer
from faregate.worker.main import run_worker, stop_on_signals
from faults.counting import count_deliveries
from faults.traffic import FEATURE, Chunk

__all__ = ["KEY", "feed", "hold", "serve", "work"]

KEY = "fg_chaos_0123456789abcdef"
_PATIENCE_SECONDS = 60

Tell = Callable[[dict[str, Any]], None]


def _settings(order: dict[str, Any]) -> Settings:
    return isolated_settings(server_api_key=KEY, **order["settings"])


async def work(order: dict[str, Any], tell: Tell) -> None:
    """Run the worker of `faregate worker` until SIGTERM, and report its counts at the end."""
    counts = count_deliveries(order["counted"]) if "counted" in order else {}
    await run_worker(_settings(order))
    tell({"counts": counts})


async def serve(order: dict[str, Any], _tell: Tell) -> None:
    """Run a gateway until SIGTERM."""
    await Gateway(_settings(order)).serve(stop_on_signals())


async def hold(order: dict[str, Any], tell: Tell) -> None:
    """Claim a job of the worker and never finish it; report when it is claimed."""
    container = WorkerContainer(settings=_settings(order))

    async def endless() -> None:
        tell({"stored": 1})
        await asyncio.Event().wait()

    async with container.engines() as database:
        schedule = Schedule(database, container.clock(), [Job(order["job"], 1.0, endless)])
        await schedule.run_until(asyncio.Event(), poll_seconds=0.02)


async def feed(order: dict[str, Any], tell: Tell) -> None:
    """Publish chunks, and report each that is known to be stored; the campaign publishes the others again."""
    container = WorkerContainer(settings=_settings(order))
    async with (
        container.engines(),
        httpx2.AsyncClient(base_url=order["gateway"], timeout=20) as http,
    ):
        for number, path in order["chunks"]:
            chunk = Chunk.load(number, Path(path).read_text())
            await _start(container.usage_service(), chunk)
            await _publish(container.transport(), chunk.broker)
            await _publish(container.outbox(), chunk.outbox)
            await _call(http, chunk)
            tell({"stored": number})


async def _start(service: UsageService, chunk: Chunk) -> None:
    """Open the holds; a key of a repeated chunk may already be settled or expired."""

    async def start(key: str, user: str, ttl_seconds: int) -> None:
        request = StartRequest(
            user, FeatureRef(value=FEATURE), key, estimated_credits=Decimal(1), ttl_seconds=ttl_seconds
        )
        try:
            await service.authorize(request)
        except FaregateError as error:
            if error.code not in {"already_settled", "hold_closed", "key_conflict"}:
                raise

    await asyncio.gather(*(start(*each) for each in chunk.starts))


async def _publish(transport: ITransport, messages: list[tuple[str, bytes]]) -> None:
    for queue in sorted({queue for queue, _ in messages}):
        await transport.publish(queue, [OutgoingMessage(body) for name, body in messages if name == queue])


async def _call(http: httpx2.AsyncClient, chunk: Chunk) -> None:
    """Settle by HTTP, synchronously or through the queue."""
    for asynchronous, body in chunk.gateway:
        headers = {"x-server-api-key": KEY, **({"prefer": "respond-async"} if asynchronous else {})}
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await _settled(http, body, headers):
                await asyncio.sleep(0.2)


async def _settled(http: httpx2.AsyncClient, body: dict[str, Any], headers: dict[str, str]) -> bool:
    """Call once, and return False for a failure of an engine, after which the call may be repeated."""
    try:
        answer = await http.post("/api/credits-process/end-multimodel", json=body, headers=headers)
    except httpx2.TransportError:
        return False
    if answer.status_code not in {200, 202, 500, 503}:
        raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")
    return answer.status_code < 500
