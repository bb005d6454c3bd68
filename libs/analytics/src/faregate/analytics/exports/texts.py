"""How an export in JSON begins and ends; its rows are written by the database."""

from collections.abc import Mapping
from typing import Any

from faregate.wire import exact_json

__all__ = ["json_head", "json_tail"]


def json_head(metadata: Mapping[str, Any], summary: Mapping[str, Any]) -> bytes:
    """Return how a JSON export begins, up to its rows."""
    return b'{"metadata":' + exact_json.dumps(metadata) + b',\n"summary":' + exact_json.dumps(summary) + b',\n"rows":['


def json_tail() -> bytes:
    """Return how a JSON export ends."""
    return b"\n]}\n"
