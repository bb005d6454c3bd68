"""Validation of usage events, as in the gateway."""

import re
from collections.abc import Mapping
from typing import Any

from faregate.wire.exact_json import mapping
from faregate.wire.ids import EXTERNAL_ID_PATTERN

__all__ = ["event_identity", "event_problem"]

_ID = re.compile(EXTERNAL_ID_PATTERN)
_IDS = ("user_id", "organization_id", "feature_key", "usage_key")
_AMOUNTS = ("quantity", "credits", "cost_usd", "input_tokens", "output_tokens", "latency_ms")
_FIELDS = frozenset(
    {
        *_IDS,
        *_AMOUNTS,
        *("id", "source", "kind", "service", "meter", "unit", "model", "provider", "status", "country", "device"),
        *("tags", "metadata", "time"),
    }
)


def event_identity(event: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return what an event is counted by."""
    return event.get("source") or "", event.get("id")


def event_problem(event: Mapping[str, Any]) -> str | None:
    """Return why the gateway would not accept an event; None if it would."""
    fields = _fields_of(event)
    if fields is None:
        return "a CloudEvent requires specversion 1.0, an id, a source and an object as data"
    unknown = sorted(fields.keys() - _FIELDS)
    if unknown:
        return f"{unknown[0]}: is not a field of an event; put your own data into metadata"
    if fields.get("service") is None and fields.get("meter") is None:
        return "service: is required, or a meter"
    ids = {name: fields.get(name) for name in _IDS if name == "user_id" or fields.get(name) is not None}
    wrong = [name for name, value in ids.items() if not isinstance(value, str) or not _ID.fullmatch(value)]
    negative = [name for name in _AMOUNTS if (fields.get(name) or 0) < 0]
    return f"{[*wrong, *negative][0]}: is missing or not valid" if wrong or negative else None


def _fields_of(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the fields of an event or of a CloudEvent; None if the latter is incomplete."""
    if "specversion" not in event:
        return event
    named = all(isinstance(event.get(name), str) for name in ("id", "source"))
    if event["specversion"] != "1.0" or not named or not isinstance(event.get("data"), Mapping):
        return None
    outer = {"user_id": event.get("subject"), "service": event.get("type"), "time": event.get("time")}
    return {**outer, **mapping(event["data"]), "id": event["id"], "source": event["source"]}
