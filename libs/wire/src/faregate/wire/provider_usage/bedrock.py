"""Amazon Bedrock's `usage`, of `converse` and of `invoke_model`."""

from faregate.wire.provider_usage.counts import Counts, Json, first

__all__ = ["read_bedrock"]


def read_bedrock(usage: Json, counts: Counts) -> None:
    """Cached tokens are reported beside the input."""
    counts.add("input_tokens", usage.get("inputTokens"))
    counts.add("output_tokens", usage.get("outputTokens"))
    for name, ours in (("cacheRead", "cache_read_tokens"), ("cacheWrite", "cache_write_tokens")):
        value = first(usage, f"{name}InputTokens", f"{name}InputTokenCount")
        counts.add("input_tokens", value)
        counts.add(ours, value)
