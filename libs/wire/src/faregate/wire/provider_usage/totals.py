"""Usage formats with totals that include all details.

They are those of OpenAI's responses, images, realtime and agents, LangChain and pydantic-ai.
"""

from faregate.wire.provider_usage.counts import Counts, Json, first, part

__all__ = ["read_totals"]


def read_totals(usage: Json, counts: Counts) -> None:
    """Read the counts. Details are in an object of their own, or next to the totals under their canonical names."""
    input_fields = {**usage, **_given(part(usage, "input_tokens_details", "input_token_details"))}
    more = _given(part(usage, "output_tokens_details", "output_token_details"))
    output_fields = {**usage, **_given(part(usage, "details")), **more}
    cached = part(input_fields, "cached_tokens_details")
    counts.add("input_tokens", usage.get("input_tokens"))
    counts.add("output_tokens", usage.get("output_tokens"))
    counts.add("cache_read_tokens", first(input_fields, "cached_tokens", "cache_read", "cache_read_tokens"))
    _add_written(input_fields, counts)
    for kind in ("audio", "image", "video"):
        counts.add(f"input_{kind}_tokens", first(input_fields, f"{kind}_tokens", kind, f"input_{kind}_tokens"))
        counts.add(f"output_{kind}_tokens", first(output_fields, f"{kind}_tokens", kind, f"output_{kind}_tokens"))
        read = first(cached, f"{kind}_tokens")
        counts.add(f"cache_{kind}_read_tokens", read if read is not None else usage.get(f"cache_{kind}_read_tokens"))
    reasoning = first(output_fields, "reasoning_tokens", "reasoning", "output_reasoning_tokens")
    counts.add("output_reasoning_tokens", reasoning)
    counts.expect(usage.get("total_tokens"))


def _add_written(input_fields: Json, counts: Counts) -> None:
    """Add cache writes. LangChain moves those of Anthropic's models from `cache_creation` to a name with their lifetime."""
    kept = {**input_fields, **part(input_fields, "cache_write_tokens_details")}
    for name in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"):
        counts.add("cache_write_tokens", kept.get(name))
    counts.at_least("cache_write_tokens", first(input_fields, "cache_write_tokens", "cache_creation"))
    counts.add("cache_write_1h_tokens", first(kept, "ephemeral_1h_input_tokens", "cache_write_1h_tokens"))


def _given(details: Json) -> Json:
    return {name: value for name, value in details.items() if value is not None}
