"""Usage format of Gemini and Gemini Live: `usageMetadata`.

Names are read as the API writes them and as the SDK's objects do.
"""

from faregate.wire.provider_usage.counts import Counts, Json, either_case
from faregate.wire.provider_usage.modalities import add_modalities

__all__ = ["read_gemini"]


def read_gemini(usage: Json, counts: Counts) -> None:
    """Read the counts.

    Thoughts are not part of the candidates, nor tool prompts of the prompt. Live names the candidates `response`.
    """
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
