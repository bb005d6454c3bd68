"""Usage format of Amazon Bedrock: `converse` and `invoke_model`."""

from collections.abc import Mapping
from typing import Any, cast

from faregate.wire.provider_usage.counts import Counts, Json, first

__all__ = ["read_bedrock"]


def read_bedrock(usage: Json, counts: Counts) -> None:
    """Read `usage`. Cached tokens are not part of the input; `cacheDetails` holds their lifetimes."""
    counts.add("input_tokens", first(usage, "inputTokens", "inputTokenCount"))
    counts.add("output_tokens", first(usage, "outputTokens", "outputTokenCount"))
    for name, ours in (("cacheRead", "cache_read_tokens"), ("cacheWrite", "cache_write_tokens")):
        value = first(usage, f"{name}InputTokens", f"{name}InputTokenCount")
        counts.add("input_tokens", value)
        counts.add(ours, value)
    for detail in _details(usage.get("cacheDetails")):
        if detail.get("ttl") == "1h":
            counts.add("cache_write_1h_tokens", detail.get("inputTokens"))
    read, written = counts.get("cache_read_tokens"), counts.get("cache_write_tokens")
    counts.expect(first(usage, "totalTokens", "totalTokenCount"), without=(read, written, read + written))


def _details(value: Any) -> list[Json]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Json", item) for item in items if isinstance(item, Mapping)]
