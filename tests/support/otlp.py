"""Exports of OTLP as tests make them: spans, log records and data points with plain attributes."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["TRACE", "as_otlp_json", "log_export", "metric_export", "span", "span_export"]

TRACE = bytes(range(1, 17))
RESOURCE = {"service.name": "shop"}


def span(number: int, attributes: Mapping[str, Any], *, parent: int = 0, trace: bytes = TRACE) -> dict[str, Any]:
    return {"number": number, "parent": parent, "attributes": attributes, "trace": trace}


def span_export(spans: Sequence[Mapping[str, Any]], resource: Mapping[str, Any] = RESOURCE) -> Any:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    _fill(group.resource.attributes, resource)
    scoped = group.scope_spans.add()
    now = time.time_ns()
    for given in spans:
        made = scoped.spans.add(
            trace_id=given["trace"],
            span_id=given["number"].to_bytes(8),
            parent_span_id=given["parent"].to_bytes(8) if given["parent"] else b"",
            name="call",
            start_time_unix_nano=now - 1_500_000_000,
            end_time_unix_nano=now,
        )
        _fill(made.attributes, given["attributes"])
    return request


def log_export(records: Sequence[tuple[str, Mapping[str, Any]]], resource: Mapping[str, Any] = RESOURCE) -> Any:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    _fill(group.resource.attributes, resource)
    scoped = group.scope_logs.add()
    for number, (name, attributes) in enumerate(records):
        record = scoped.log_records.add(time_unix_nano=time.time_ns() + number)
        record.body.string_value = name
        _fill(record.attributes, {**attributes, "event.name": name.removeprefix("claude_code.")})
    return request


def metric_export(points: Sequence[tuple[str, float, Mapping[str, Any]]], *, temporality: Any = 1) -> Any:
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    _fill(group.resource.attributes, RESOURCE)
    scoped = group.scope_metrics.add()
    for name, value, attributes in points:
        metric = scoped.metrics.add(name=name)
        metric.sum.aggregation_temporality = temporality
        point = metric.sum.data_points.add(time_unix_nano=time.time_ns(), as_double=value)
        _fill(point.attributes, attributes)
    return request


def as_otlp_json(message: Any) -> Any:
    """Return an export in the JSON of OTLP, in which ids are hexadecimal."""
    return _with_hex_ids(MessageToDict(message))


def _with_hex_ids(value: Any) -> Any:
    import base64

    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    ids = {"traceId", "spanId", "parentSpanId"}
    return {n: base64.b64decode(v).hex() if n in ids else _with_hex_ids(v) for n, v in value.items()}


def _fill(attributes: Any, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        made = attributes.add(key=name).value
        if isinstance(value, str):
            made.string_value = value
        elif isinstance(value, bool):
            made.bool_value = value
        elif isinstance(value, int):
            made.int_value = value
        else:
            made.double_value = value
