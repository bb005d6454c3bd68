"""Example bodies, built from the examples of their fields."""

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["example_of"]

_BY_FORMAT = {"date-time": "2026-01-31T12:00:00Z", "date": "2026-01-31", "uuid": "01a1fd69-8c38-7000-99a6-7c0f0159533d"}


_BY_NAME = {
    "user_id": "user-1",
    "organization_id": "acme",
    "usage_key": "use-1",
    "reason": "a good reason",
    "from": "2026-01-01T00:00:00Z",
    "to": "2026-02-01T00:00:00Z",
    "since": "2026-01-01T00:00:00Z",
    "until": "2026-02-01T00:00:00Z",
}

_USAGES = [{"ai_model": "gpt-4o", "input_tokens": 1200, "output_tokens": 350}]
_USE: dict[str, Any] = {"user_id": "user-1", "feature_endpoint_value": "ai_chat_v1"}
_BY_MODEL: Mapping[str, dict[str, Any]] = {
    "StartBody": {**_USE, "estimated_usages": _USAGES},
    "LeaseBody": {**_USE, "credits": 100, "ttl_seconds": 60},
    "EndMultimodelBody": {**_USE, "usages": _USAGES},
    "FeatureDocument": {"name": "AI chat", "strategy": "token_priced", "min_credits": 1},
    "ReplayBody": {"since": "2026-01-31T12:00:00Z"},
    "FeatureLogBody": {**_USE, "method": "POST", "code": 200, "status": "success"},
    "UsageEvent": {"id": "event-1", "source": "/app", "user_id": "user-1", "service": "chat", "input_tokens": 1200},
    "EndBody": {**_USE, **_USAGES[0]},
    "QuoteBody": _USAGES[0],
    "UseQuoteBody": {**_USE, "usages": _USAGES},
    "PriceDocument": {"margin_percent": 25},
    "CheckoutBody": {
        "user_id": "user-1",
        "package": "small",
        "success_url": "https://app.example.com/credits?bought={purchase}",
        "cancel_url": "https://app.example.com/credits",
    },
    "PortalLinkBody": {"user_id": "user-1", "allowed_origins": ["https://app.example.com"]},
    "DeadLettersBody": {"queue": "credits_process_end_queue"},
    "WhatIfBody": {"margins": [{"marginPercent": 30}]},
}
"""Bodies whose fields depend on each other."""


def example_of(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str = "") -> Any:
    """Return a valid value of this schema for a field of this name: its example, or one built from its required fields."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    for word in ("examples", "const", "default", "enum"):
        if word in schema:
            return schema[word][0] if word in {"examples", "enum"} else schema[word]
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return _BY_MODEL.get(name.rpartition("__")[2]) or example_of(definitions[name], definitions)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return example_of(schema[word][0], definitions)
    return _by_type(schema, definitions)


def _by_type(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", [])
        properties = cast("dict[str, Any]", schema.get("properties", {}))
        return {name: example_of(properties[name], definitions, name) for name in properties if name in required}
    if kind == "array":
        return [example_of(schema["items"], definitions)] if schema.get("minItems", 1) and "items" in schema else []
    if kind in {"integer", "number"}:
        lowest = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        return max(1, lowest)
    if kind == "boolean":
        return True
    if kind == "string":
        return _BY_FORMAT.get(str(schema.get("format")), "text"[: schema.get("maxLength", 4)])
    return None
