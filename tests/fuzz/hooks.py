"""What schemathesis must be told: how lines of JSON and bytes of protobuf are written."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines_of_json(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Write one value as one line."""
    return json.dumps(value, ensure_ascii=True, default=str).encode() + b"\n"


@schemathesis.serializer("application/x-protobuf")
def bytes_of_protobuf(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Write any value as bytes, of which few are protobuf."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: Any) -> Any:
    """Let a stream end after its first event: it has no end of its own."""
    endless = context.operation is not None and context.operation.path == "/api/analytics/stream"
    return {**(query or {}), "events": 1} if endless else query
