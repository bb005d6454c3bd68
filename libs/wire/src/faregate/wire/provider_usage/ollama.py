"""Ollama's counts, which stand in the reply itself."""

from faregate.wire.provider_usage.counts import Counts, Json

__all__ = ["read_ollama"]


def read_ollama(usage: Json, counts: Counts) -> None:
    """A prompt that was kept from before is not counted by Ollama."""
    counts.add("input_tokens", usage.get("prompt_eval_count"))
    counts.add("output_tokens", usage.get("eval_count"))
