"""Usage format of Ollama: counts in the reply itself."""

from faregate.wire.provider_usage.counts import Counts, Json

__all__ = ["read_ollama"]


def read_ollama(usage: Json, counts: Counts) -> None:
    """Read the counts. Ollama does not count a prompt that it has cached."""
    counts.add("input_tokens", usage.get("prompt_eval_count"))
    counts.add("output_tokens", usage.get("eval_count"))
