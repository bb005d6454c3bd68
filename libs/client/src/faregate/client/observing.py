"""What a provider's reply says about its use: model and tokens, from any of the known shapes. Pure."""

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["counts_in", "plain"]

Counts = dict[str, int]
Json = Mapping[str, Any]


def plain(reply: Any) -> Json:
    """Return a reply (an SDK's object, or JSON) as a mapping, or raise TypeError."""
    if isinstance(reply, Mapping):
        return cast("Json", reply)
    for name in ("model_dump", "to_dict", "dict"):
        dump = getattr(reply, name, None)
        if callable(dump):
            return cast("Json", dump())
    raise TypeError(f"a {type(reply).__name__} is no reply of a provider; give the reply itself, or `add(model, …)`")


def counts_in(usage: Json) -> Counts:
    """Return the counts of a usage object by their wire names; `input_tokens` and `output_tokens` are totals.

    Knows OpenAI (chat, responses, embeddings), Anthropic, Gemini, LiteLLM, LangChain and OpenTelemetry's `gen_ai.usage.*`.
    """
    if any(key in usage for key in ("prompt_token_count", "promptTokenCount")):
        counts = _gemini(usage)
    elif "prompt_tokens" in usage:
        counts = _openai_chat(usage)
    elif any(key in usage for key in ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation")):
        counts = _anthropic(usage)
    elif "gen_ai.usage.input_tokens" in usage:
        counts = {"input_tokens": _at(usage, "gen_ai.usage.input_tokens")} | {
            "output_tokens": _at(usage, "gen_ai.usage.output_tokens")
        }
    else:
        counts = _input_output(usage)
    return {name: count for name, count in counts.items() if count}


def _at(usage: Json, *names: str) -> int:
    """Return the first of these counts that is there."""
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return 0


def _inner(usage: Json, *names: str) -> Json:
    for name in names:
        value = usage.get(name)
        if isinstance(value, Mapping):
            return cast("Json", value)
    return {}


def _openai_chat(usage: Json) -> Counts:
    prompt, completion = _inner(usage, "prompt_tokens_details"), _inner(usage, "completion_tokens_details")
    return {
        "input_tokens": _at(usage, "prompt_tokens"),
        "output_tokens": _at(usage, "completion_tokens"),
        "cache_read_tokens": _at(prompt, "cached_tokens") or _at(usage, "prompt_cache_hit_tokens"),
        "cache_write_tokens": _at(prompt, "cache_creation_tokens"),
        "input_audio_tokens": _at(prompt, "audio_tokens"),
        "output_audio_tokens": _at(completion, "audio_tokens"),
        "output_reasoning_tokens": _at(completion, "reasoning_tokens"),
    }


def _input_output(usage: Json) -> Counts:
    came = _inner(usage, "input_tokens_details", "input_token_details")
    went = _inner(usage, "output_tokens_details", "output_token_details")
    return {
        "input_tokens": _at(usage, "input_tokens"),
        "output_tokens": _at(usage, "output_tokens"),
        "cache_read_tokens": _at(came, "cached_tokens", "cache_read"),
        "cache_write_tokens": _at(came, "cache_creation"),
        "input_audio_tokens": _at(came, "audio", "audio_tokens"),
        "output_audio_tokens": _at(went, "audio", "audio_tokens"),
        "output_reasoning_tokens": _at(went, "reasoning_tokens", "reasoning"),
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
    }


def _gemini(usage: Json) -> Counts:
    """Gemini counts thoughts beside the candidates, and tool prompts beside the prompt."""
    thoughts = _at(usage, "thoughts_token_count", "thoughtsTokenCount")
    tools = _at(usage, "tool_use_prompt_token_count", "toolUsePromptTokenCount")
    return {
        "input_tokens": _at(usage, "prompt_token_count", "promptTokenCount") + tools,
        "output_tokens": _at(usage, "candidates_token_count", "candidatesTokenCount") + thoughts,
        "cache_read_tokens": _at(usage, "cached_content_token_count", "cachedContentTokenCount"),
        "output_reasoning_tokens": thoughts,
    }
