"""Gemini's `usageMetadata`, of the API and of Live, as the API writes it and as the SDK's objects do."""

from faregate.wire.provider_usage.counts import Counts, Json, either_case
from faregate.wire.provider_usage.modalities import add_modalities

__all__ = ["read_gemini"]


def read_gemini(usage: Json, counts: Counts) -> None:
    """Thoughts are reported beside the candidates, and prompts of tools beside the prompt. Live says `response`."""
    get = either_case(usage)
    written = get("candidatesTokenCount")
    counts.add("input_tokens", get("promptTokenCount"))
    counts.add("input_tokens", get("toolUsePromptTokenCount"))
    counts.add("input_tool_tokens", get("toolUsePromptTokenCount"))
    counts.add("output_tokens", written if written is not None else get("responseTokenCount"))
    counts.add("output_tokens", get("thoughtsTokenCount"))
    counts.add("output_reasoning_tokens", get("thoughtsTokenCount"))
    counts.add("cache_read_tokens", get("cachedContentTokenCount"))
    add_modalities(get("promptTokensDetails"), "input_{}_tokens", counts)
    add_modalities(get("cacheTokensDetails"), "cache_{}_read_tokens", counts)
    details = get("candidatesTokensDetails")
    add_modalities(details if details is not None else get("responseTokensDetails"), "output_{}_tokens", counts)
    counts.expect(get("totalTokenCount"), without=(counts.get("input_tool_tokens"),))
