"""Usage lines from providers' own usage objects. Pure.

Errors are ours, secrets are removed, the raw counts are kept.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from faregate.core.errors import InvalidError
from faregate.core.redaction.scrubbing import is_credential
from faregate.core.redaction.secret_names import Secrecy, secrecy_of
from faregate.usage.values import ModelUsage
from faregate.wire.provider_usage import FORMS, Reading, UnreadableUsageError, is_modality, read_usage, searches_in
from faregate.wire.rates import are_inconsistent

__all__ = ["native_usage", "reduced_usage"]

_ABOUT_USAGE = re.compile(
    "token|seconds|cache|details|server_tool_use|billed_units|count|cost|web_searches|providerMetadata", re.IGNORECASE
)
_RESPONSE_ID = re.compile(r"(?:chatcmpl|cmpl|resp|msg|gen)[-_][A-Za-z0-9_-]{8,120}")
_TIMES = frozenset({"5m", "1h"})
_LONG = 64


def native_usage(
    body: Mapping[str, Any], *, model: str | None = None, provider: str | None = None, service_tier: str | None = None
) -> ModelUsage:
    """Return what a response, or the usage object in it, says was used; what the caller names wins over the body.

    Raises:
        InvalidError: no known form of usage is in it, no model is named anywhere, or a count is no whole number from 0 on.
    """
    reading = _read(body)
    if reading is None:
        raise InvalidError(
            f"usage: no token counts of a known form ({'; '.join(form.name for form in FORMS)}); "
            "send input_tokens and output_tokens instead",
            param="usage",
        )
    named = model or _name(reading.model)
    if named is None:
        raise InvalidError("ai_model is required: the usage names no model", param="ai_model")
    return ModelUsage(
        model=named,
        provider=provider or _name(reading.provider),
        tokens=reading.counts or {"input_tokens": 0},
        service_tier=service_tier or _name(reading.service_tier),
        raw=_kept(reading.usage) | _tiers(body, reading, requested=service_tier) | _response_id(body),
        inconsistent=reading.inconsistent or are_inconsistent(reading.counts),
        reported_cost_usd=reading.reported_cost_usd,
    )


def reduced_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with nothing but what `native_usage` makes of it: counts, model, provider and service tier."""
    reading = _read(body)
    if reading is None:
        return {}
    names = {
        "model": _name(reading.model),
        "gen_ai.provider.name": _name(reading.provider),
        "service_tier": _name(reading.service_tier),
    }
    searches = [{"type": "web_search_call"}] * searches_in(body)
    cost = {"response_cost": reading.reported_cost_usd} if reading.reported_cost_usd is not None else {}
    output = {"output": searches} if searches else {}
    return {**{name: text for name, text in names.items() if text}, **cost, **output, **_kept(reading.usage)}


def _response_id(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the provider's id of the response, by which its bill names the request; only ids of known forms are kept."""
    found = body.get("id", body.get("responseId"))
    return {"response_id": found} if isinstance(found, str) and _RESPONSE_ID.fullmatch(found) else {}


def _tiers(body: Mapping[str, Any], reading: Reading, *, requested: str | None) -> dict[str, str]:
    """Return the tier that was served, also where it is the usual one, and the one that the caller names."""
    named = (body.get("service_tier"), reading.usage.get("service_tier"), reading.service_tier)
    served = next((tier for tier in named if isinstance(tier, str) and len(tier) <= _LONG and _name(tier)), None)
    tiers = {"service_tier": served, "requested_service_tier": requested}
    return {name: tier for name, tier in tiers.items() if tier is not None}


def _read(body: Mapping[str, Any]) -> Reading | None:
    try:
        return read_usage(body)
    except UnreadableUsageError as error:
        raise InvalidError(f"usage: {error}", param="usage") from None


def _name(text: str | None) -> str | None:
    return text if text is not None and not is_credential(text) else None


def _kept(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept for audit: what is about usage, and nothing of what was said."""
    about = {name: item for name, item in usage.items() if _ABOUT_USAGE.search(name) and not isinstance(item, str)}
    return cast("dict[str, Any]", _counts_in(about))


def _counts_in(value: Any) -> Any:
    """Return numbers in their places, and of which modality they are; no other text, and nothing under a secret's name."""
    if isinstance(value, Mapping):
        parts = cast("Mapping[str, Any]", value)
        return {name: _counts_in(item) for name, item in parts.items() if not _is_secret(name)}
    if isinstance(value, list):
        return [_counts_in(item) for item in cast("list[Any]", value)]
    if isinstance(value, str):
        return value if is_modality(value) or value in _TIMES else None
    return value


def _is_secret(name: str) -> bool:
    return secrecy_of(name) is Secrecy.ALL or is_credential(name)
