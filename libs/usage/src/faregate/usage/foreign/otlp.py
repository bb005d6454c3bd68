"""Spans, log records and data points of OTLP as foreign events. Pure.

Spans are identified by their trace and span ids; log records and data points have no id, so that their content identifies them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from math import isfinite
from typing import Any

from faregate.core.errors import InvalidError
from faregate.usage.foreign.otlp_messages import Signal, request_in
from faregate.usage.foreign.rules import ForeignEvent
from faregate.usage.foreign.span_trees import SpanTree
from faregate.wire.exact_json import mended

__all__ = ["OTLP_SOURCE", "otlp_events_in"]

OTLP_SOURCE = "otlp"
"""The source of what OpenTelemetry sends; the id of a span is `<trace id>:<span id>`, in hexadecimal."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAILED = 2
_CUMULATIVE = 2
_LONGEST_MS = 2**31 - 1
_NAME_LENGTH = 200

Events = Sequence[ForeignEvent | InvalidError]


def otlp_events_in(body: bytes, signal: Signal, *, is_json: bool) -> Events:
    """Return the items of an export; an item without what identifies it is an error in its place.

    Raises:
        MalformedError: the body is no such export.
        MissingExtraError: `faregate[otlp]` is not installed.
    """
    readers: Mapping[Signal, Callable[[Any], Events]] = {"traces": _spans, "logs": _logs, "metrics": _points}
    return readers[signal](request_in(body, signal, is_json=is_json))


def _spans(request: Any) -> Events:
    found: list[ForeignEvent | InvalidError] = []
    tree, above = SpanTree(), dict[int, str]()
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            scope = _scope(scoped.scope)
            for span in scoped.spans:
                event = _span(span, resource, scope)
                if isinstance(event, ForeignEvent):
                    trace = span.trace_id.hex()
                    parent = f"{trace}:{span.parent_span_id.hex()}" if span.parent_span_id else ""
                    tree.add(event.id, parent, event.fields["attributes"])
                    above[len(found)] = event.id
                found.append(event)
    for number, name in above.items():
        event = found[number]
        if isinstance(event, ForeignEvent) and (ids := tree.above(name)):
            found[number] = ForeignEvent(event.form, event.source, event.id, event.fields, ids)
    return found


def _span(span: Any, resource: Mapping[str, Any], scope: Mapping[str, Any]) -> ForeignEvent | InvalidError:
    trace, name = span.trace_id, span.span_id
    if len(trace) != 16 or len(name) != 8 or not any(trace) or not any(name):
        return InvalidError("a span must have a trace id of 16 bytes and a span id of 8 bytes, not all zero")
    begun, ended = span.start_time_unix_nano, span.end_time_unix_nano
    fields = {
        "name": mended(span.name),
        "attributes": _attributes(span.attributes),
        "resource": resource,
        "scope": scope,
        "trace_id": trace.hex(),
        "span_id": name.hex(),
        "parent_span_id": span.parent_span_id.hex() or None,
        "status": "failed" if span.status.code == _FAILED else "success",
        "duration_ms": min((ended - begun) // 1_000_000, _LONGEST_MS) if 0 < begun <= ended else None,
        "time": _moment(ended or begun),
    }
    return ForeignEvent("span", OTLP_SOURCE, f"{trace.hex()}:{name.hex()}", fields)


def _logs(request: Any) -> Events:
    found: list[ForeignEvent] = []
    for group in request.resource_logs:
        resource, about = _attributes(group.resource.attributes), _content(group.resource)
        for scoped in group.scope_logs:
            scope = _scope(scoped.scope)
            for record in scoped.log_records:
                attributes = _attributes(record.attributes)
                fields = {
                    "name": _log_name(record, attributes),
                    "attributes": attributes,
                    "resource": resource,
                    "scope": scope,
                    "severity": record.severity_text,
                    "trace_id": record.trace_id.hex() or None,
                    "span_id": record.span_id.hex() or None,
                    "time": _moment(record.time_unix_nano or record.observed_time_unix_nano),
                }
                found.append(ForeignEvent("log", OTLP_SOURCE, _hash("log", about, _content(record)), fields))
    return found


def _log_name(record: Any, attributes: Mapping[str, Any]) -> str:
    name = record.event_name or attributes.get("event.name") or record.body.string_value
    return mended(str(name))[:_NAME_LENGTH]


def _points(request: Any) -> Events:
    found: list[ForeignEvent | InvalidError] = []
    for group in request.resource_metrics:
        resource, about = _attributes(group.resource.attributes), _content(group.resource)
        for scoped in group.scope_metrics:
            scope = _scope(scoped.scope)
            for metric in scoped.metrics:
                shared = {
                    "name": mended(metric.name),
                    "unit": mended(metric.unit),
                    "resource": resource,
                    "scope": scope,
                }
                found += [_point(*point, shared, about) for point in _points_of(metric)]
    return found


def _points_of(metric: Any) -> Iterator[tuple[Any, str]]:
    """Yield the data points of a metric, each with its temporality; summaries hold nothing that can be counted."""
    kind = metric.WhichOneof("data")
    if kind == "gauge":
        yield from ((point, "gauge") for point in metric.gauge.data_points)
    elif kind in {"sum", "histogram", "exponential_histogram"}:
        data = getattr(metric, kind)
        temporality = "cumulative" if data.aggregation_temporality == _CUMULATIVE else "delta"
        yield from ((point, temporality) for point in data.data_points)


def _point(point: Any, temporality: str, shared: Mapping[str, Any], about: bytes) -> ForeignEvent | InvalidError:
    has_sum = hasattr(point, "sum")
    number = point.sum if has_sum else point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
    if not isfinite(number):
        return InvalidError(f"{shared['name'][:50]}: the value of a data point must be a finite number")
    fields = {
        **shared,
        "value": _exact(number),
        "temporality": temporality,
        "attributes": _attributes(point.attributes),
        "time": _moment(point.time_unix_nano),
    }
    identity = _hash("metric", about, shared["name"].encode(), _content(point))
    return ForeignEvent("metric", OTLP_SOURCE, identity, fields)


def _attributes(pairs: Any) -> dict[str, Any]:
    """Return attributes by key. Texts of their most frequent kind are read without another call."""
    found: dict[str, Any] = {}
    for pair in pairs:
        value = pair.value
        kind = value.WhichOneof("value")
        if kind == "string_value":
            text = value.string_value
            found[pair.key] = text if "\x00" not in text else mended(text)
        elif kind == "int_value":
            found[pair.key] = value.int_value
        elif kind is not None:
            found[pair.key] = _other(value, kind)
    return found


def _other(value: Any, kind: str) -> Any:
    if kind == "double_value":
        return _exact(value.double_value) if isfinite(value.double_value) else None
    if kind == "bool_value":
        return value.bool_value
    if kind == "array_value":
        return list(_attributes(_Pair(str(n), item) for n, item in enumerate(value.array_value.values)).values())
    return _attributes(value.kvlist_value.values) if kind == "kvlist_value" else None


class _Pair:
    """An item of a list as an attribute."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: Any) -> None:
        self.key = key
        self.value = value


def _scope(scope: Any) -> Mapping[str, Any]:
    return {"name": mended(scope.name), "version": mended(scope.version)}


def _exact(number: float) -> Decimal | int:
    return number if isinstance(number, int) else Decimal(repr(number))


def _moment(nanos: int) -> datetime | None:
    return _EPOCH + timedelta(microseconds=nanos // 1_000) if nanos else None


def _content(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))


def _hash(*parts: str | bytes) -> str:
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8) + data)
    return digest.hexdigest()
