"""The usage of Vercel's AI SDK, versions 4 to 6."""

from collections.abc import Mapping
from typing import Any, cast

from faregate.wire.provider_usage.counts import Counts, Json, first, part

__all__ = ["read_vercel"]


def read_vercel(usage: Json, counts: Counts) -> None:
    """Cached and reasoning tokens are part of the totals; a provider's own object nests them in `inputTokens`."""
    came = {**usage, **part(usage, "inputTokenDetails", "inputTokens")}
    went = {**usage, **part(usage, "outputTokenDetails", "outputTokens")}
    counts.add("input_tokens", _total(first(usage, "inputTokens", "promptTokens")))
    counts.add("output_tokens", _total(first(usage, "outputTokens", "completionTokens")))
    counts.add("cache_read_tokens", first(came, "cacheReadTokens", "cacheRead", "cachedInputTokens"))
    counts.add("cache_write_tokens", first(came, "cacheWriteTokens", "cacheWrite"))
    counts.add("output_reasoning_tokens", first(went, "reasoningTokens", "reasoning"))
    cached = counts.get("cache_read_tokens") + counts.get("cache_write_tokens")
    counts.expect(usage.get("totalTokens"), without=(cached,))


def _total(value: Any) -> Any:
    return cast("Json", value).get("total") if isinstance(value, Mapping) else value
