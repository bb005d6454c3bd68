"""Usage format of Anthropic."""

from faregate.wire.provider_usage.counts import Counts, Json, first, part

__all__ = ["read_anthropic"]


def read_anthropic(usage: Json, counts: Counts) -> None:
    """Read `usage`. Cached tokens are not part of `input_tokens`; `cache_creation` holds their lifetimes."""
    kept = part(usage, "cache_creation")
    counts.add("input_tokens", usage.get("input_tokens"))
    counts.add("output_tokens", usage.get("output_tokens"))
    counts.add("cache_read_tokens", usage.get("cache_read_input_tokens"))
    for name in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"):
        counts.add("cache_write_tokens", kept.get(name))
    counts.at_least("cache_write_tokens", usage.get("cache_creation_input_tokens"))
    counts.add("cache_write_1h_tokens", kept.get("ephemeral_1h_input_tokens"))
    for name in ("cache_read_tokens", "cache_write_tokens"):
        counts.add("input_tokens", counts.get(name) or None)
    details = part(usage, "output_tokens_details")
    counts.add("output_reasoning_tokens", first(details, "thinking_tokens", "reasoning_tokens"))
    counts.add("web_searches", part(usage, "server_tool_use").get("web_search_requests"))
