"""Usage attributes of OpenTelemetry, OpenLLMetry and OpenInference spans."""

from faregate.wire.provider_usage.counts import Counts, Json, first

__all__ = ["read_open_inference", "read_open_telemetry"]


def read_open_telemetry(usage: Json, counts: Counts) -> None:
    """Read `gen_ai.usage.*`. Cached counts are part of `input_tokens`.

    OpenLLMetry writes dots as underscores and the total under `llm.`.
    """
    own = {name.removeprefix("gen_ai.usage."): value for name, value in usage.items()}
    counts.add("input_tokens", first(own, "input_tokens", "prompt_tokens", "llm.usage.prompt_tokens"))
    counts.add("output_tokens", first(own, "output_tokens", "completion_tokens", "llm.usage.completion_tokens"))
    counts.add("cache_read_tokens", first(own, "cache_read.input_tokens", "cache_read_input_tokens"))
    counts.add(
        "cache_write_tokens",
        first(own, "cache_write.input_tokens", "cache_creation.input_tokens", "cache_creation_input_tokens"),
    )
    counts.add("output_reasoning_tokens", first(own, "reasoning.output_tokens", "reasoning_tokens"))
    counts.expect(first(own, "total_tokens", "llm.usage.total_tokens"))


def read_open_inference(usage: Json, counts: Counts) -> None:
    """Read `llm.token_count.*`. The details are part of `prompt` and `completion`."""
    own = {name.removeprefix("llm.token_count."): value for name, value in usage.items()}
    counts.add("input_tokens", own.get("prompt"))
    counts.add("output_tokens", own.get("completion"))
    counts.add("cache_read_tokens", own.get("prompt_details.cache_read"))
    counts.add("cache_write_tokens", own.get("prompt_details.cache_write"))
    counts.add("input_audio_tokens", own.get("prompt_details.audio"))
    counts.add("output_audio_tokens", own.get("completion_details.audio"))
    counts.add("output_reasoning_tokens", own.get("completion_details.reasoning"))
    counts.expect(own.get("total"))
