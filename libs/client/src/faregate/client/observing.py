"""What a provider's reply says about its use: model and counts, from any of the known forms. Pure.

The gateway reads the same forms (`POST /api/prices/quote`); a test holds both to the same counts. Here what cannot be read
counts nothing, so that a surprise in a reply never breaks the request it came with.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from decimal import ROUND_CEILING, Decimal
from math import isfinite
from typing import Any, cast

from faregate.client.exact_json import mapping

__all__ = ["Counts", "Reading", "plain", "reading_of"]

Counts = dict[str, int]
Json = Mapping[str, Any]

_ROOTS = ("usage", "usageMetadata", "usage_metadata", "response_metadata", "message", "response")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply tells.

    Attributes:
        counts: by their wire names, without zeros; `input_tokens` and `output_tokens` are totals. Empty: all told are 0.
    """

    counts: Counts
    model: str | None = None
    provider: str | None = None
    service_tier: str | None = None


def plain(reply: Any) -> Json:
    """Return a reply (an SDK's object, or JSON) as a mapping, or raise TypeError."""
    if isinstance(reply, Mapping):
        return cast("Json", reply)
    for name in ("model_dump", "to_dict", "dict"):
        dump = getattr(reply, name, None)
        if callable(dump):
            return cast("Json", dump())
    if is_dataclass(reply) and not isinstance(reply, type):
        return asdict(reply)
    raise TypeError(f"a {type(reply).__name__} is no reply of a provider; give the reply itself, or `add(model, …)`")


def reading_of(body: Json) -> Reading | None:
    """Return what a reply, or the usage object itself, tells; None if it tells no usage.

    Knows OpenAI (chat, responses, embeddings, transcriptions), Anthropic, Gemini, Bedrock, LiteLLM, LangChain, pydantic-ai
    and OpenTelemetry's `gen_ai.usage.*`, old and new.
    """
    usage = _find(body)
    if usage is None:
        return None
    counts = _reader(usage)(usage)
    return Reading(
        {name: count for name, count in counts.items() if count},
        model_in(body),
        _text(body, "gen_ai.provider.name", "gen_ai.system", "custom_llm_provider"),
        tier_in(body) or tier_in(usage),
    )


def model_in(body: Json) -> str | None:
    """Return the model that a reply names."""
    names = ("model", "modelVersion", "model_version", "model_name", "gen_ai.response.model", "gen_ai.request.model")
    return _text(body, *names)


def tier_in(body: Json) -> str | None:
    """Return the service tier that a reply names, if its price may differ from the usual one."""
    told = next((body[name] for name in ("service_tier", "speed") if body.get(name) is not None), None)
    return told if isinstance(told, str) and told not in {"auto", "default", "standard", ""} else None


def _find(body: Json) -> Json | None:
    """Return the usage: the body itself, or one of its parts."""
    if any(_is_count(body.get(name)) for name in _KNOWN):
        return body
    parts = (mapping(body.get(root)) for root in _ROOTS)
    found = (_find(part) for part in parts if part)
    return next((usage for usage in found if usage is not None), None)


def _reader(usage: Json) -> "Callable[[Json], Counts]":
    return next(reader for name, reader in _KNOWN.items() if usage.get(name) is not None)


def _text(body: Json, *names: str) -> str | None:
    for source in (body, *(mapping(body.get(part)) for part in ("response_metadata", "message", "response"))):
        for name in names:
            value = source.get(name)
            if isinstance(value, str) and value:
                return value
    return None


def _is_count(value: Any) -> bool:
    return isinstance(value, int | Decimal | float | Mapping) and not isinstance(value, bool)


def _at(usage: Json, *names: str) -> int:
    """Return the first of these counts that is there."""
    values = (usage.get(name) for name in names)
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool) and value >= 0), 0)


def _inner(usage: Json, *names: str) -> Json:
    """Return these parts of a usage as one."""
    return {name: value for part in names for name, value in mapping(usage.get(part)).items()}


def _open_telemetry(usage: Json) -> Counts:
    own = {name.removeprefix("gen_ai.usage."): value for name, value in usage.items()}
    return {
        "input_tokens": _at(own, "input_tokens", "prompt_tokens"),
        "output_tokens": _at(own, "output_tokens", "completion_tokens"),
        "cache_read_tokens": _at(own, "cache_read.input_tokens"),
        "cache_write_tokens": _at(own, "cache_write.input_tokens", "cache_creation.input_tokens"),
        "output_reasoning_tokens": _at(own, "reasoning.output_tokens"),
    }


def _gemini(usage: Json) -> Counts:
    """Gemini counts thoughts beside the candidates, and tool prompts beside the prompt."""
    thoughts = _at(usage, "thoughtsTokenCount", "thoughts_token_count")
    tools = _at(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count")
    return {
        "input_tokens": _at(usage, "promptTokenCount", "prompt_token_count") + tools,
        "output_tokens": _at(usage, "candidatesTokenCount", "candidates_token_count") + thoughts,
        "input_tool_tokens": tools,
        "cache_read_tokens": _at(usage, "cachedContentTokenCount", "cached_content_token_count"),
        "output_reasoning_tokens": thoughts,
        **_modalities(usage, "input_{}_tokens", "promptTokensDetails", "prompt_tokens_details"),
        **_modalities(usage, "cache_{}_read_tokens", "cacheTokensDetails", "cache_tokens_details"),
        **_modalities(usage, "output_{}_tokens", "candidatesTokensDetails", "candidates_tokens_details"),
    }


def _modalities(usage: Json, pattern: str, *names: str) -> Counts:
    """Return how many of Gemini's tokens are audio, images and video; text is what is left."""
    details = (usage.get(name) for name in names)
    told = next((cast("list[Any]", value) for value in details if isinstance(value, list)), cast("list[Any]", []))
    counts: Counts = {}
    for detail in map(mapping, told):
        kind = _MODALITIES.get(str(detail.get("modality")).rpartition(".")[2].upper())
        if kind is not None:
            name = pattern.format(kind)
            counts[name] = counts.get(name, 0) + _at(detail, "tokenCount", "token_count")
    return counts


def _bedrock(usage: Json) -> Counts:
    """Bedrock counts cached tokens beside the input."""
    read = _at(usage, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = _at(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    return {
        "input_tokens": _at(usage, "inputTokens") + read + written,
        "output_tokens": _at(usage, "outputTokens"),
        "cache_read_tokens": read,
        "cache_write_tokens": written,
    }


def _anthropic(usage: Json) -> Counts:
    """Anthropic counts cached tokens beside `input_tokens`, not within."""
    read, written = _at(usage, "cache_read_input_tokens"), _at(usage, "cache_creation_input_tokens")
    return {
        "input_tokens": _at(usage, "input_tokens") + read + written,
        "output_tokens": _at(usage, "output_tokens"),
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": _at(_inner(usage, "cache_creation"), "ephemeral_1h_input_tokens"),
        "output_reasoning_tokens": _at(_inner(usage, "output_tokens_details"), "thinking_tokens"),
        "web_searches": _at(_inner(usage, "server_tool_use"), "web_search_requests"),
    }


def _openai_chat(usage: Json) -> Counts:
    """OpenAI's chat completions, DeepSeek, and LiteLLM, which adds Anthropic's names but counts as OpenAI does."""
    prompt, completion = _inner(usage, "prompt_tokens_details"), _inner(usage, "completion_tokens_details")
    whole = {**usage, **prompt}
    return {
        "input_tokens": _at(usage, "prompt_tokens"),
        "output_tokens": _at(usage, "completion_tokens"),
        "cache_read_tokens": _at(whole, "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens"),
        "cache_write_tokens": _at(whole, "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens"),
        "input_audio_tokens": _at(prompt, "audio_tokens"),
        "output_audio_tokens": _at(completion, "audio_tokens"),
        "output_reasoning_tokens": _at(completion, "reasoning_tokens"),
    }


def _totals(usage: Json) -> Counts:
    """OpenAI's responses, LangChain and pydantic-ai: `input_tokens` is the total, and details are within it."""
    came = _inner(usage, "input_tokens_details", "input_token_details")
    went = _inner(usage, "output_tokens_details", "output_token_details")
    more = _inner(usage, "details")
    return {
        "input_tokens": _at(usage, "input_tokens"),
        "output_tokens": _at(usage, "output_tokens"),
        "cache_read_tokens": _at({**usage, **came}, "cached_tokens", "cache_read", "cache_read_tokens"),
        "cache_write_tokens": _at({**usage, **came}, "cache_write_tokens", "cache_creation"),
        "input_audio_tokens": _at({**usage, **came}, "audio_tokens", "audio", "input_audio_tokens"),
        "input_image_tokens": _at({**usage, **came}, "image_tokens", "input_image_tokens"),
        "output_audio_tokens": _at({**usage, **went}, "audio_tokens", "audio", "output_audio_tokens"),
        "output_image_tokens": _at({**usage, **went}, "image_tokens", "output_image_tokens"),
        "output_reasoning_tokens": _at({**more, **went}, "reasoning_tokens", "reasoning"),
    }


def _duration(usage: Json) -> Counts:
    """Transcription billed by time: started seconds count."""
    seconds: Any = usage.get("seconds")
    if isinstance(seconds, float | Decimal) and isfinite(seconds):
        seconds = int(Decimal(str(seconds)).to_integral_value(ROUND_CEILING))
    return {"audio_seconds": _at({"seconds": seconds}, "seconds")}


_KNOWN: "dict[str, Callable[[Json], Counts]]" = {
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
    "cache_creation": _anthropic,
    "server_tool_use": _anthropic,
    "input_tokens": _totals,
    "output_tokens": _totals,
    "seconds": _duration,
}
"""What a form of usage is known by, the most telling first: Anthropic's own names come before the plain `input_tokens`."""

_MODALITIES = {"AUDIO": "audio", "IMAGE": "image", "VIDEO": "video", "DOCUMENT": "image"}
