"""Usage as providers, frameworks and telemetry report it, read as it comes. Pure; nothing is counted twice.

In the canonical form `input_tokens` and `output_tokens` are totals: cached, written, reasoning and audio tokens are parts
of them. Anthropic and Bedrock report what was cached beside the input, so it is added; OpenAI reports it within.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, cast

from faregate.core.errors import InvalidError
from faregate.core.free_fields import is_credential
from faregate.core.secret_names import Secrecy, secrecy_of
from faregate.usage.rates import are_inconsistent
from faregate.usage.values import ModelUsage

__all__ = ["native_usage", "reduced_usage"]

_LIMIT = 10**9
_ABOUT_USAGE = re.compile("token|seconds|cache|details|server_tool_use|response_cost", re.IGNORECASE)
_MODEL_NAMES = ("model", "modelVersion", "model_name", "gen_ai.response.model", "gen_ai.request.model")
_PROVIDER_NAMES = ("gen_ai.provider.name", "gen_ai.system", "custom_llm_provider")
_NAME_LENGTH = 255
_ROOTS = ("usage", "usageMetadata", "usage_metadata", "response_metadata", "message", "response")


@dataclass(slots=True)
class _Counts:
    """Counts on their way to the canonical form."""

    values: dict[str, int]

    def add(self, name: str, value: Any) -> None:
        """Add what was reported; None and absent count as nothing."""
        count = _count(value, name)
        if count:
            self.values[name] = self.values.get(name, 0) + count


def native_usage(
    body: Mapping[str, Any], *, model: str | None = None, provider: str | None = None, service_tier: str | None = None
) -> ModelUsage:
    """Return what a response, or the usage object in it, says was used; what the caller names wins over the body.

    Raises:
        InvalidError: no known form of usage is in it, no model is named anywhere, or a count is no whole number from 0 on.
    """
    usage = _find(body)
    if usage is None:
        raise InvalidError(
            "usage: no token counts of a known form (OpenAI, Anthropic, Gemini, Bedrock, LiteLLM, LangChain, "
            "pydantic-ai, OpenTelemetry); send input_tokens and output_tokens instead",
            param="usage",
        )
    named = model or _text(body, *_MODEL_NAMES)
    if named is None:
        raise InvalidError("ai_model is required: the usage names no model", param="ai_model")
    counts = _Counts({})
    _reader(usage)(usage, counts)
    return ModelUsage(
        model=named,
        provider=provider or _text(body, *_PROVIDER_NAMES),
        tokens=counts.values,
        service_tier=service_tier or _tier(body, usage),
        raw=_kept(usage),
        inconsistent=are_inconsistent(counts.values),
    )


def reduced_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body with nothing but what `native_usage` makes of it: counts, model, provider and service tier."""
    usage = _find(body)
    if usage is None:
        return {}
    names = {
        "model": _text(body, *_MODEL_NAMES),
        "gen_ai.provider.name": _text(body, *_PROVIDER_NAMES),
        "service_tier": _tier(body, usage),
    }
    form = dict.fromkeys(name for name in usage if name in _KNOWN)
    return {**{name: text for name, text in names.items() if text}, **form, **_kept(usage)}


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
        return value if _modality(value) in _MODALITIES else None
    return value


def _is_secret(name: str) -> bool:
    return secrecy_of(name) is Secrecy.ALL or is_credential(name)


def _find(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the usage object: the body itself, or one of its parts."""
    if any(name in body for name in _KNOWN):
        return body
    for root in _ROOTS:
        part = body.get(root)
        if isinstance(part, Mapping):
            found = _find(cast("Mapping[str, Any]", part))
            if found is not None:
                return found
    return None


def _reader(usage: Mapping[str, Any]) -> Callable[[Mapping[str, Any], _Counts], None]:
    return next(reader for name, reader in _KNOWN.items() if name in usage)


def _open_telemetry(usage: Mapping[str, Any], counts: _Counts) -> None:
    get = usage.get
    prefix = "gen_ai.usage."
    counts.add("input_tokens", get(prefix + "input_tokens", get(prefix + "prompt_tokens")))
    counts.add("output_tokens", get(prefix + "output_tokens", get(prefix + "completion_tokens")))
    counts.add("cache_read_tokens", get(prefix + "cache_read.input_tokens"))
    written = get(prefix + "cache_write.input_tokens", get(prefix + "cache_creation.input_tokens"))
    counts.add("cache_write_tokens", written)
    counts.add("output_reasoning_tokens", get(prefix + "reasoning.output_tokens"))


def _gemini(usage: Mapping[str, Any], counts: _Counts) -> None:
    get = _either_case(usage)
    counts.add("input_tokens", get("promptTokenCount"))
    counts.add("input_tokens", get("toolUsePromptTokenCount"))
    counts.add("input_tool_tokens", get("toolUsePromptTokenCount"))
    counts.add("output_tokens", get("candidatesTokenCount"))
    counts.add("output_tokens", get("thoughtsTokenCount"))
    counts.add("output_reasoning_tokens", get("thoughtsTokenCount"))
    counts.add("cache_read_tokens", get("cachedContentTokenCount"))
    _modalities(get("promptTokensDetails"), "input_{}_tokens", counts)
    _modalities(get("cacheTokensDetails"), "cache_{}_read_tokens", counts)
    _modalities(get("candidatesTokensDetails"), "output_{}_tokens", counts)


def _bedrock(usage: Mapping[str, Any], counts: _Counts) -> None:
    counts.add("input_tokens", usage.get("inputTokens"))
    counts.add("output_tokens", usage.get("outputTokens"))
    for name, ours in (("cacheRead", "cache_read_tokens"), ("cacheWrite", "cache_write_tokens")):
        value = usage.get(f"{name}InputTokens", usage.get(f"{name}InputTokenCount"))
        counts.add("input_tokens", value)
        counts.add(ours, value)


def _anthropic(usage: Mapping[str, Any], counts: _Counts) -> None:
    get = usage.get
    counts.add("input_tokens", get("input_tokens"))
    counts.add("output_tokens", get("output_tokens"))
    for name, ours in (("cache_read", "cache_read_tokens"), ("cache_creation", "cache_write_tokens")):
        counts.add("input_tokens", get(f"{name}_input_tokens"))
        counts.add(ours, get(f"{name}_input_tokens"))
    counts.add("cache_write_1h_tokens", _part(usage, "cache_creation").get("ephemeral_1h_input_tokens"))
    counts.add("output_reasoning_tokens", _part(usage, "output_tokens_details").get("thinking_tokens"))
    counts.add("web_searches", _part(usage, "server_tool_use").get("web_search_requests"))


def _openai_chat(usage: Mapping[str, Any], counts: _Counts) -> None:
    """OpenAI's chat completions, and LiteLLM, which adds Anthropic's names but counts as OpenAI does."""
    read, written = _part(usage, "prompt_tokens_details"), _part(usage, "completion_tokens_details")
    counts.add("input_tokens", usage.get("prompt_tokens"))
    counts.add("output_tokens", usage.get("completion_tokens"))
    cached = read.get("cached_tokens", usage.get("prompt_cache_hit_tokens", usage.get("cached_tokens")))
    counts.add("cache_read_tokens", cached if cached is not None else usage.get("cache_read_input_tokens"))
    made = read.get("cache_write_tokens", read.get("cache_creation_tokens"))
    counts.add("cache_write_tokens", made if made is not None else usage.get("cache_creation_input_tokens"))
    counts.add("input_audio_tokens", read.get("audio_tokens"))
    counts.add("output_audio_tokens", written.get("audio_tokens"))
    counts.add("output_reasoning_tokens", written.get("reasoning_tokens"))


def _totals(usage: Mapping[str, Any], counts: _Counts) -> None:
    """OpenAI's responses, LangChain and pydantic-ai: `input_tokens` is the total, and details are within it."""
    get = usage.get
    read = {**_part(usage, "input_tokens_details"), **_part(usage, "input_token_details")}
    written = {**_part(usage, "output_tokens_details"), **_part(usage, "output_token_details")}
    details = _part(usage, "details")
    counts.add("input_tokens", get("input_tokens"))
    counts.add("output_tokens", get("output_tokens"))
    counts.add("cache_read_tokens", _first(read.get("cached_tokens"), read.get("cache_read"), get("cache_read_tokens")))
    made = _first(read.get("cache_write_tokens"), read.get("cache_creation"), get("cache_write_tokens"))
    counts.add("cache_write_tokens", made)
    counts.add("input_audio_tokens", _first(read.get("audio_tokens"), read.get("audio"), get("input_audio_tokens")))
    counts.add("input_image_tokens", _first(read.get("image_tokens"), get("input_image_tokens")))
    counts.add(
        "output_audio_tokens", _first(written.get("audio_tokens"), written.get("audio"), get("output_audio_tokens"))
    )
    counts.add("output_image_tokens", _first(written.get("image_tokens"), get("output_image_tokens")))
    reasoning = _first(written.get("reasoning_tokens"), written.get("reasoning"), details.get("reasoning_tokens"))
    counts.add("output_reasoning_tokens", reasoning)


def _duration(usage: Mapping[str, Any], counts: _Counts) -> None:
    """Transcription billed by time: started seconds count."""
    seconds = usage.get("seconds")
    if isinstance(seconds, Decimal):
        seconds = int(seconds.to_integral_value(ROUND_CEILING))
    counts.add("audio_seconds", seconds)


_KNOWN: dict[str, Callable[[Mapping[str, Any], _Counts], None]] = {
    "gen_ai.usage.input_tokens": _open_telemetry,
    "gen_ai.usage.prompt_tokens": _open_telemetry,
    "gen_ai.usage.output_tokens": _open_telemetry,
    "gen_ai.usage.completion_tokens": _open_telemetry,
    "promptTokenCount": _gemini,
    "prompt_token_count": _gemini,
    "inputTokens": _bedrock,
    "prompt_tokens": _openai_chat,
    "cache_read_input_tokens": _anthropic,
    "cache_creation_input_tokens": _anthropic,
    "server_tool_use": _anthropic,
    "input_tokens": _totals,
    "seconds": _duration,
}
"""What a form of usage is known by, the most telling first: Anthropic's own names come before the plain `input_tokens`."""

_MODALITIES = {"TEXT": None, "AUDIO": "audio", "IMAGE": "image", "VIDEO": "video", "DOCUMENT": "image"}


def _modality(text: str) -> str:
    return text.rpartition(".")[2].upper()


def _modalities(details: Any, pattern: str, counts: _Counts) -> None:
    if not isinstance(details, list):
        return
    for detail in cast("list[Any]", details):
        if not isinstance(detail, Mapping):
            continue
        get = _either_case(cast("Mapping[str, Any]", detail))
        kind = _MODALITIES.get(_modality(str(get("modality"))))
        if kind is not None:
            counts.add(pattern.format(kind), get("tokenCount"))


def _either_case(usage: Mapping[str, Any]) -> Callable[[str], Any]:
    """Read camelCase as the API writes it, or snake_case as the SDK's objects do."""

    def get(name: str) -> Any:
        snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
        return usage.get(name, usage.get(snake))

    return get


def _part(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = usage.get(name)
    return cast("Mapping[str, Any]", part) if isinstance(part, Mapping) else {}


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _text(body: Mapping[str, Any], *names: str) -> str | None:
    for source in (body, _part(body, "response_metadata"), _part(body, "message"), _part(body, "response")):
        for name in names:
            value = source.get(name)
            if isinstance(value, str) and 0 < len(value) <= _NAME_LENGTH and not is_credential(value):
                return value
    return None


def _tier(body: Mapping[str, Any], usage: Mapping[str, Any]) -> str | None:
    tier = _first(body.get("service_tier"), usage.get("service_tier"), usage.get("speed"))
    named = isinstance(tier, str) and len(tier) <= _NAME_LENGTH and not is_credential(tier)
    return tier if named and tier not in {"default", "standard", "auto", ""} else None


def _count(value: Any, name: str) -> int:
    if value is None:
        return 0
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LIMIT:
        raise InvalidError(f"usage: {name} must be a whole number from 0 to 10⁹", param="usage")
    return value
