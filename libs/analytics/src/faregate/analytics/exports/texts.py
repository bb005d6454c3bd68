"""Head and tail of JSON exports.

The database writes the rows between them.
"""

from collections.abc import Mapping
from typing import Any

from faregate.wire import exact_json

__all__ = ["json_head", "json_tail"]


def json_head(metadata: Mapping[str, Any], summary: Mapping[str, Any]) -> bytes:
    """Return the text of a JSON export before its rows."""
    return b'{"metadata":' + exact_json.dumps(metadata) + b',\n"summary":' + exact_json.dumps(summary) + b',\n"rows":['


def json_tail() -> bytes:
    """Return the text of a JSON export after its rows."""
    return b"\n]}\n"
