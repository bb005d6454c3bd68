"""Answers of OTLP/HTTP to exports."""

from typing import Any

from faregate.usage.foreign.otlp_messages import Signal

__all__ = ["partial_success"]

_REJECTED = {"traces": "rejectedSpans", "logs": "rejectedLogRecords", "metrics": "rejectedDataPoints"}


def partial_success(signal: Signal, rejected: int, detail: str, *, is_json: bool) -> bytes:
    """Return the `Export…ServiceResponse` for `rejected` items; nothing is in it where all were accepted."""
    from google.protobuf.json_format import MessageToJson, ParseDict

    told = {"partialSuccess": {_REJECTED[signal]: rejected, "errorMessage": detail}} if rejected else {}
    response = ParseDict(told, _response(signal))
    return MessageToJson(response, indent=None).encode() if is_json else bytes(response.SerializeToString())


def _response(signal: Signal) -> Any:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    kinds: dict[Signal, Any] = {
        "traces": ExportTraceServiceResponse,
        "logs": ExportLogsServiceResponse,
        "metrics": ExportMetricsServiceResponse,
    }
    return kinds[signal]()
