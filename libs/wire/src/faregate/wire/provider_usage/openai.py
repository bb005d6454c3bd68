"""OpenAI's chat completions and transcriptions, and what is built like them."""

from faregate.wire.provider_usage.counts import Counts, Json, first, part

__all__ = ["read_chat", "read_duration"]


def read_chat(usage: Json, counts: Counts) -> None:
    """Chat completions, DeepSeek, and LiteLLM, which adds Anthropic's names but counts as OpenAI does."""
    read, written = part(usage, "prompt_tokens_details"), part(usage, "completion_tokens_details")
    whole = {**usage, **{name: value for name, value in read.items() if value is not None}}
    counts.add("input_tokens", usage.get("prompt_tokens"))
    counts.add("output_tokens", usage.get("completion_tokens"))
    cached = first(whole, "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
    counts.add("cache_read_tokens", cached)
    made = first(whole, "cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens")
    counts.add("cache_write_tokens", made)
    counts.add("input_audio_tokens", read.get("audio_tokens"))
    counts.add("output_audio_tokens", written.get("audio_tokens"))
    counts.add("output_reasoning_tokens", written.get("reasoning_tokens"))


def read_duration(usage: Json, counts: Counts) -> None:
    """Transcription billed by time: started seconds count."""
    counts.add_started("audio_seconds", usage.get("seconds"))
