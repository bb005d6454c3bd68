"""Anthropic's `usage`."""

from faregate.wire.provider_usage.counts import Counts, Json, part

__all__ = ["read_anthropic"]


def read_anthropic(usage: Json, counts: Counts) -> None:
    """Cached tokens are reported beside `input_tokens`, not within."""
    get = usage.get
    counts.add("input_tokens", get("input_tokens"))
    counts.add("output_tokens", get("output_tokens"))
    for name, ours in (("cache_read", "cache_read_tokens"), ("cache_creation", "cache_write_tokens")):
        counts.add("input_tokens", get(f"{name}_input_tokens"))
        counts.add(ours, get(f"{name}_input_tokens"))
    counts.add("cache_write_1h_tokens", part(usage, "cache_creation").get("ephemeral_1h_input_tokens"))
    counts.add("output_reasoning_tokens", part(usage, "output_tokens_details").get("thinking_tokens"))
    counts.add("web_searches", part(usage, "server_tool_use").get("web_search_requests"))
