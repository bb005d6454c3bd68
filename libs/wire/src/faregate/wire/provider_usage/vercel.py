"""Usage format of Vercel's AI SDK, versions 4 to 6."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from faregate.wire.provider_usage.counts import Counts, Json, first, part

__all__ = ["METADATA", "metadata_counts", "read_vercel"]

METADATA = "providerMetadata"
"""Field next to the usage with each provider's own counts. In version 4 only this field reports cached tokens."""

_BESIDE = frozenset({"anthropic", "bedrock"})
"""Providers whose cached tokens are not part of `promptTokens` and `inputTokens`; version 6 adds them."""

_READ = ("cacheReadInputTokens", "cachedPromptTokens", "promptCacheHitTokens")
_WRITTEN = ("cacheCreationInputTokens", "cacheWriteInputTokens")
_KNOWN = (*_READ, *_WRITTEN, "reasoningTokens")


def metadata_counts(body: Json) -> dict[str, dict[str, Any]]:
    """Return the counts in a result's metadata, by provider.

    With several steps it returns their sums: the result's own metadata is the last step's, while its usage is that of all.
    """
    steps = [found for found in map(_counts_of, _steps(body)) if found]
    return _sums(steps) if len(steps) > 1 else _counts_of(body)


def _steps(body: Json) -> list[Json]:
    """Return the steps of a result whose usage is the sum of all steps; else none."""
    items = body.get("steps")
    if not isinstance(items, list) or not (part(body, "totalUsage") or "promptTokens" in part(body, "usage")):
        return []
    return [cast("Json", item) for item in cast("list[Any]", items) if isinstance(item, Mapping)]


def _counts_of(body: Json) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for provider, reported in part(body, "experimental_providerMetadata", METADATA).items():
        if isinstance(reported, Mapping):
            named = {**cast("Json", reported), **part(cast("Json", reported), "usage")}
            found[provider] = {name: named[name] for name in _KNOWN if named.get(name) is not None}
    return {provider: counts for provider, counts in found.items() if counts or provider in _BESIDE}


def _sums(steps: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    sums: dict[str, Counts] = {}
    for step in steps:
        for provider, reported in step.items():
            of_provider = sums.setdefault(provider, Counts())
            for name, value in reported.items():
                of_provider.add(name, value)
    return {provider: dict(counts.values) for provider, counts in sums.items()}


def read_vercel(usage: Json, counts: Counts) -> None:
    """Read the counts. Cached and reasoning tokens are part of the totals; a provider's own object nests them in `inputTokens`."""
    input_fields = {**usage, **part(usage, "inputTokenDetails", "inputTokens")}
    output_fields = {**usage, **part(usage, "outputTokenDetails", "outputTokens")}
    metadata = part(usage, METADATA)
    reported = part(metadata, *metadata)
    counts.add("input_tokens", _total(first(usage, "inputTokens", "promptTokens")))
    counts.add("output_tokens", _total(first(usage, "outputTokens", "completionTokens")))
    read = first(input_fields, "cacheReadTokens", "cacheRead", "cachedInputTokens")
    written = first(input_fields, "cacheWriteTokens", "cacheWrite")
    counts.add("cache_read_tokens", first(reported, *_READ) if read is None else read)
    counts.add("cache_write_tokens", first(reported, *_WRITTEN) if written is None else written)
    reasoning = first(output_fields, "reasoningTokens", "reasoning")
    counts.add("output_reasoning_tokens", reported.get("reasoningTokens") if reasoning is None else reasoning)
    cached = counts.get("cache_read_tokens") + counts.get("cache_write_tokens")
    if _is_beside(usage, counts, provider_says=bool(_BESIDE & metadata.keys())):
        counts.add("input_tokens", cached)
    counts.expect(usage.get("totalTokens"), without=(cached,))


def _is_beside(usage: Json, counts: Counts, *, provider_says: bool) -> bool:
    """Return whether cached tokens are not part of the input: their provider reports them so, or they exceed the input."""
    if part(usage, "inputTokenDetails", "inputTokens"):
        return False
    return provider_says or counts.get("cache_read_tokens") > counts.get("input_tokens")


def _total(value: Any) -> Any:
    return cast("Json", value).get("total") if isinstance(value, Mapping) else value
