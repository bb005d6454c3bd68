"""Usage format of Cohere: `meta` (version 1) and `usage` (version 2)."""

from faregate.wire.provider_usage.counts import Counts, Json, first, part

__all__ = ["read_cohere"]


def read_cohere(usage: Json, counts: Counts) -> None:
    """Read the billed units; if there are none, the processed tokens."""
    billed = part(usage, "billed_units") or part(usage, "tokens")
    for name in ("input_tokens", "output_tokens"):
        counts.add(name, billed.get(name))
    counts.add("cache_read_tokens", first(usage, "cached_tokens"))
    counts.add("rerank_searches", billed.get("search_units"))
