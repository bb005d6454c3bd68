"""Requests of OTLP/HTTP, from protobuf or JSON, as messages of protobuf."""

import base64
import json
from typing import Any, Literal, cast

from faregate.core.errors import MalformedError, MissingExtraError

__all__ = ["Signal", "request_in"]

Signal = Literal["traces", "logs", "metrics"]

_IDS = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
_DEPTH_LIMIT = 100


def request_in(body: bytes, signal: Signal, *, is_json: bool) -> Any:
    """Return the `Export…ServiceRequest` of a body; fields that are not known are ignored, as the protocol demands.

    Raises:
        MalformedError: the body is no such request.
        MissingExtraError: `faregate[otlp]` is not installed.
    """
    kind = _kinds()[signal]
    return _from_json(body, kind) if is_json else _from_protobuf(body, kind)


def _kinds() -> dict[Signal, Any]:
    try:
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ModuleNotFoundError as error:
        raise MissingExtraError("Receiving OTLP", "otlp") from error
    return {
        "traces": ExportTraceServiceRequest,
        "logs": ExportLogsServiceRequest,
        "metrics": ExportMetricsServiceRequest,
    }


def _from_protobuf(body: bytes, kind: Any) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(body)
    except DecodeError:
        raise MalformedError(
            f"the body is no {kind.__name__} of protobuf; send all of it, uncompressed or gzip"
        ) from None


def _from_json(body: bytes, kind: Any) -> Any:
    from google.protobuf.json_format import ParseDict, ParseError

    try:
        value: Any = json.loads(body)
        if not isinstance(value, dict):
            raise TypeError("it must be an object")
        return ParseDict(_with_ids(value, 0), kind(), ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)[:200]
        raise MalformedError(f"the body is no {kind.__name__} in JSON: {reason}") from None


def _with_ids(value: Any, depth: int) -> Any:
    """Return JSON of OTLP as JSON of protobuf: ids are hexadecimal in the first, and base64 in the second."""
    if depth > _DEPTH_LIMIT:
        raise RecursionError
    if isinstance(value, list):
        return [_with_ids(item, depth + 1) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, Any]", value)
    return {
        name: _base64(item) if name in _IDS and isinstance(item, str) else _with_ids(item, depth + 1)
        for name, item in fields.items()
    }


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()
