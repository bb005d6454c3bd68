"""Controller of `/v1/traces`, `/v1/logs` and `/v1/metrics`: usage from OpenTelemetry."""

import asyncio
from typing import Any

from starlette.responses import Response

from faregate.core.redaction.scrubbing import clean_text
from faregate.gateway.http.body import RawBody
from faregate.gateway.http.dialects import OTLP, PROTOBUF, otlp_status
from faregate.gateway.http.operation import JSON, Call, Controller, operation
from faregate.gateway.security.auth import Scope
from faregate.usage.foreign.otlp import otlp_events_in
from faregate.usage.foreign.otlp_answers import partial_success
from faregate.usage.foreign.otlp_messages import Signal
from faregate.usage.foreign.service import ForeignIngest, ForeignReport

__all__ = ["OtlpController"]

_LIMIT_BYTES = 16 * 1024 * 1024
_AT_ONCE = 8
_CONSUMES: dict[str, Any] = {PROTOBUF: RawBody, JSON: dict[str, object]}
_DETAIL_LENGTH = 1000


class OtlpController(Controller):
    """OTLP/HTTP, as exporters and collectors of OpenTelemetry send it."""

    def __init__(self, ingest: ForeignIngest) -> None:
        self._ingest = ingest

    @operation(
        "POST",
        "/v1/traces",
        tag="ingest",
        scope=Scope.USAGE_WRITE,
        answer=None,
        consumes=_CONSUMES,
        body_limit_bytes=_LIMIT_BYTES,
        concurrency=_AT_ONCE,
        dialect=OTLP,
    )
    async def take_traces(self, call: Call, body: RawBody) -> Response:
        """Record or charge the model calls in an export of spans.

        A span counts once, however often it is exported. Spans that report no usage are accepted and left out, as are those of
        agents and chains, which repeat the usage of their parts.
        """
        return await self._take(call, body, "traces")

    @operation(
        "POST",
        "/v1/logs",
        tag="ingest",
        scope=Scope.USAGE_WRITE,
        answer=None,
        consumes=_CONSUMES,
        body_limit_bytes=_LIMIT_BYTES,
        concurrency=_AT_ONCE,
        dialect=OTLP,
    )
    async def take_logs(self, call: Call, body: RawBody) -> Response:
        """Record or charge the requests in an export of log records, such as those of Claude Code and Codex."""
        return await self._take(call, body, "logs")

    @operation(
        "POST",
        "/v1/metrics",
        tag="ingest",
        scope=Scope.USAGE_WRITE,
        answer=None,
        consumes=_CONSUMES,
        body_limit_bytes=_LIMIT_BYTES,
        concurrency=_AT_ONCE,
        dialect=OTLP,
    )
    async def take_metrics(self, call: Call, body: RawBody) -> Response:
        """Record or charge data points that an ingest rule names; their temporality must be delta."""
        return await self._take(call, body, "metrics")

    async def _take(self, call: Call, body: RawBody, signal: Signal) -> Response:
        is_json = body.media_type == JSON
        content = await body.bytes(limit_bytes=_LIMIT_BYTES)
        events = await asyncio.to_thread(otlp_events_in, content, signal, is_json=is_json)
        report = await self._ingest.take(events, spender=call.spender)
        return _answer(report, signal, is_json=is_json)


def _answer(report: ForeignReport, signal: Signal, *, is_json: bool) -> Response:
    """Return 200, with the number of items that were not accepted; 400 if no item with usage was."""
    kind, detail = JSON if is_json else PROTOBUF, _detail(report)
    if report.rejected and not report.recorded + report.charged + report.duplicates:
        return Response(otlp_status(400, detail, is_json=is_json), 400, media_type=kind)
    content = partial_success(signal, len(report.rejected), detail, is_json=is_json)
    return Response(content, 200, media_type=kind)


def _detail(report: ForeignReport) -> str:
    """Return each reason why items were not accepted, once."""
    reasons = dict.fromkeys(item.error for item in report.rejected)
    return clean_text("; ".join(reasons)[:_DETAIL_LENGTH])
