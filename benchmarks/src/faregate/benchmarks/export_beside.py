"""Exports through a gateway, and its health latency meanwhile."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx2

from faregate.analytics.exports.formats import Format
from faregate.analytics.question.filters import Question
from faregate.benchmarks.ground import KEY, Ground
from faregate.benchmarks.serving import serving
from faregate.core.clock import SystemClock

__all__ = ["ExportBeside", "measure_beside"]

_CLOCK = SystemClock()
_PAUSE_SECONDS = 0.01
_ALONE_SECONDS = 3
_TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class ExportBeside:
    """One export by HTTP: seconds to its first byte and to its end, and the latency of health answers meanwhile, in ms."""

    format: Format
    first_byte_seconds: float
    seconds: float
    size_bytes: int
    health_alone_p95_ms: float
    health_p95_ms: float
    health_longest_ms: float


async def measure_beside(ground: Ground, question: Question, kinds: Sequence[Format]) -> Sequence[ExportBeside]:
    """Request `/healthz` every 10 ms from a gateway with one process: first without load, then during an export of each format."""
    async with (
        serving(ground, "faregate.cli", "gateway", "--port", workers=1) as url,
        httpx2.AsyncClient(base_url=url, headers={"x-server-api-key": KEY}, timeout=_TIMEOUT_SECONDS) as client,
    ):
        alone = await _health(client, asyncio.create_task(asyncio.sleep(_ALONE_SECONDS)))
        return [await _export(client, question, kind, _percentile(alone, 95)) for kind in kinds]


async def _export(client: httpx2.AsyncClient, question: Question, kind: Format, alone_ms: float) -> ExportBeside:
    download = asyncio.create_task(_download(client, question, kind))
    waits = await _health(client, download)
    first, whole, size = await download
    return ExportBeside(kind, first, whole, size, alone_ms, _percentile(waits, 95), max(waits))


async def _download(client: httpx2.AsyncClient, question: Question, kind: Format) -> tuple[float, float, int]:
    span = question.range
    asked = {"startDate": span.start.isoformat(), "endDate": span.end.isoformat(), "format": kind.value}
    began, first, size = _CLOCK.monotonic(), 0.0, 0
    async with client.stream("GET", "/api/analytics/export", params=asked) as answer:
        answer.raise_for_status()
        async for chunk in answer.aiter_raw():
            first = first or _CLOCK.monotonic() - began
            size += len(chunk)
    return first, _CLOCK.monotonic() - began, size


async def _health(client: httpx2.AsyncClient, until: "asyncio.Task[object]") -> list[float]:
    """Return how long each health answer took, in milliseconds, until the task ends."""
    waits: list[float] = []
    while not until.done():
        began = _CLOCK.monotonic()
        (await client.get("/healthz")).raise_for_status()
        waits.append((_CLOCK.monotonic() - began) * 1000)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(until), _PAUSE_SECONDS)
    return waits


def _percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]
