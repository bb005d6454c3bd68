"""Rate of spans by OTLP over HTTP, recorded and charged."""

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx2

from faregate.benchmarks.ground import KEY, Ground
from faregate.benchmarks.serving import serving
from faregate.core.clock import SystemClock

__all__ = ["measure_spans", "span_bodies"]

_CLOCK = SystemClock()
_HEADERS = {"x-server-api-key": KEY, "content-type": "application/x-protobuf"}
_WAIT_SECONDS = 600
_SPANS_AT_ONCE = 512
"""Spans that OpenTelemetry's batch processor exports at once by default."""
_USERS = 100
_EXPORTERS = 4
"""Processes of applications that export at the same time, each one export after the other."""


def span_bodies(count: int) -> Iterator[bytes]:
    """Yield exports of 512 spans each: model calls with ten attributes, every second one below the span of an agent."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    for start in range(0, count, _SPANS_AT_ONCE):
        request = ExportTraceServiceRequest()
        scoped = request.resource_spans.add().scope_spans.add()
        for number in range(start, min(start + _SPANS_AT_ONCE, count)):
            _fill(scoped.spans.add(trace_id=os.urandom(16), span_id=os.urandom(8), name="chat gpt-4o-mini"), number)
        yield request.SerializeToString()


def _fill(span: Any, number: int) -> None:
    now = time.time_ns()
    span.start_time_unix_nano, span.end_time_unix_nano = now - 10**9, now
    if number % 2:
        span.parent_span_id = os.urandom(8)
    texts = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.id": f"chatcmpl-{number}",
        "server.address": "api.openai.com",
        "user.id": f"user-{number % _USERS}",
        "session.id": f"session-{number % 1000}",
    }
    for name, text in texts.items():
        span.attributes.add(key=name).value.string_value = text
    for name, tokens in (("input", 1200 + number % 100), ("output", 350)):
        span.attributes.add(key=f"gen_ai.usage.{name}_tokens").value.int_value = tokens


async def measure_spans(ground: Ground, spans: int, *, processes: int) -> float:
    """Return spans per second that are recorded, sent by four exporters."""
    waiting = iter(list(span_bodies(spans)))
    async with (
        serving(ground, "faregate.cli", "gateway", "--port", workers=processes) as url,
        httpx2.AsyncClient(base_url=url, headers=_HEADERS, timeout=_WAIT_SECONDS) as http,
    ):
        await _send(http, span_bodies(1))
        began = _CLOCK.monotonic()
        await asyncio.gather(*(_send(http, waiting) for _ in range(_EXPORTERS)))
        return spans / (_CLOCK.monotonic() - began)


async def _send(http: httpx2.AsyncClient, bodies: Iterable[bytes]) -> None:
    for body in bodies:
        (await http.post("/v1/traces", content=body)).raise_for_status()
