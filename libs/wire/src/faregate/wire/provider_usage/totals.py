"""OpenAI's responses, LangChain and pydantic-ai: `input_tokens` is the total, and details are within it."""

from faregate.wire.provider_usage.counts import Counts, Json, first, part

__all__ = ["read_totals"]


def read_totals(usage: Json, counts: Counts) -> None:
    """Details come in an object of their own, or beside the totals under their canonical names."""
    came = {**usage, **part(usage, "input_tokens_details", "input_token_details")}
    went = {**usage, **part(usage, "details"), **part(usage, "output_tokens_details", "output_token_details")}
    counts.add("input_tokens", usage.get("input_tokens"))
    counts.add("output_tokens", usage.get("output_tokens"))
    counts.add("cache_read_tokens", first(came, "cached_tokens", "cache_read", "cache_read_tokens"))
    counts.add("cache_write_tokens", first(came, "cache_write_tokens", "cache_creation"))
    counts.add("input_audio_tokens", first(came, "audio_tokens", "audio", "input_audio_tokens"))
    counts.add("input_image_tokens", first(came, "image_tokens", "input_image_tokens"))
    counts.add("output_audio_tokens", first(went, "audio_tokens", "audio", "output_audio_tokens"))
    counts.add("output_image_tokens", first(went, "image_tokens", "output_image_tokens"))
    counts.add("output_reasoning_tokens", first(went, "reasoning_tokens", "reasoning"))
