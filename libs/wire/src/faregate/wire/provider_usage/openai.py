"""Usage formats of OpenAI's chat completions and transcriptions."""

from faregate.wire.provider_usage.counts import Counts, Json, first, part

__all__ = ["read_chat", "read_duration"]


def read_chat(usage: Json, counts: Counts) -> None:
    """Read the usage of chat completions, DeepSeek, OpenRouter, xAI and LiteLLM.

    LiteLLM adds Anthropic's names but counts as OpenAI does.
    """
    read, written = part(usage, "prompt_tokens_details"), part(usage, "completion_tokens_details")
    whole = {**usage, **{name: value for name, value in read.items() if value is not None}}
    counts.add("input_tokens", usage.get("prompt_tokens"))
    counts.add("output_tokens", usage.get("completion_tokens"))
    cached = first(whole, "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
    counts.add("cache_read_tokens", cached)
    made = first(whole, "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
    counts.add("cache_write_tokens", made)
    kept = part(read, "cache_write_tokens_details", "cache_creation_token_details")
    counts.add("cache_write_1h_tokens", kept.get("ephemeral_1h_input_tokens"))
    for kind in ("audio", "image", "video"):
        counts.add(f"input_{kind}_tokens", read.get(f"{kind}_tokens"))
        counts.add(f"output_{kind}_tokens", written.get(f"{kind}_tokens"))
    counts.add("output_reasoning_tokens", written.get("reasoning_tokens"))
    counts.add("web_searches", part(usage, "server_tool_use").get("web_search_requests"))
    _add_reasoning_beside(usage, counts)
    counts.expect(usage.get("total_tokens"))


def _add_reasoning_beside(usage: Json, counts: Counts) -> None:
    """Add reasoning tokens that are not part of `completion_tokens`, as the total of xAI shows."""
    reasoning = counts.get("output_reasoning_tokens")
    read = counts.get("input_tokens") + counts.get("output_tokens")
    if reasoning and usage.get("total_tokens") == read + reasoning:
        counts.add("output_tokens", reasoning)


def read_duration(usage: Json, counts: Counts) -> None:
    """Read the duration of a transcription billed by time, rounded up to seconds."""
    counts.add_started("audio_seconds", usage.get("seconds"))
