"""Usage formats of providers, frameworks and telemetry.

In the canonical form `input_tokens` and `output_tokens` are totals: cached, written, reasoning and audio tokens are parts
of them. Anthropic and Bedrock report cached tokens in addition to the input, so they are added; OpenAI includes them.
"""

from faregate.wire.provider_usage.balance import balanced
from faregate.wire.provider_usage.counts import COUNT_LIMIT, UnreadableUsageError
from faregate.wire.provider_usage.forms import FORMS
from faregate.wire.provider_usage.modalities import is_modality
from faregate.wire.provider_usage.reading import Reading, model_in, read_usage, searches_in, tier_in

__all__ = [
    "COUNT_LIMIT",
    "FORMS",
    "Reading",
    "UnreadableUsageError",
    "balanced",
    "is_modality",
    "model_in",
    "read_usage",
    "searches_in",
    "tier_in",
]
