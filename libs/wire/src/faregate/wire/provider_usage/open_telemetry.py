"""OpenTelemetry's `gen_ai.usage.*` attributes, old and new."""

from faregate.wire.provider_usage.counts import Counts, Json, first

__all__ = ["read_open_telemetry"]


def read_open_telemetry(usage: Json, counts: Counts) -> None:
    """Cached counts are part of `input_tokens`."""
    own = {name.removeprefix("gen_ai.usage."): value for name, value in usage.items()}
    counts.add("input_tokens", first(own, "input_tokens", "prompt_tokens"))
    counts.add("output_tokens", first(own, "output_tokens", "completion_tokens"))
    counts.add("cache_read_tokens", first(own, "cache_read.input_tokens"))
    counts.add("cache_write_tokens", first(own, "cache_write.input_tokens", "cache_creation.input_tokens"))
    counts.add("output_reasoning_tokens", first(own, "reasoning.output_tokens"))
