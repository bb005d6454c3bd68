"""What schemathesis must be told: how lines of JSON are written."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines_of_json(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Write one value as one line."""
    return json.dumps(value, ensure_ascii=True, default=str).encode() + b"\n"
