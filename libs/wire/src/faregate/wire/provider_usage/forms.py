"""Registry of the known usage formats."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from faregate.wire.provider_usage.anthropic import read_anthropic
from faregate.wire.provider_usage.bedrock import read_bedrock
from faregate.wire.provider_usage.cohere import read_cohere
from faregate.wire.provider_usage.counts import Counts, Json
from faregate.wire.provider_usage.gemini import read_gemini
from faregate.wire.provider_usage.ollama import read_ollama
from faregate.wire.provider_usage.openai import read_chat, read_duration
from faregate.wire.provider_usage.telemetry import read_open_inference, read_open_telemetry
from faregate.wire.provider_usage.totals import read_totals
from faregate.wire.provider_usage.vercel import read_vercel

__all__ = ["FORMS", "Form", "form_of"]


@dataclass(frozen=True, slots=True)
class Form:
    """One usage format.

    Attributes:
        name: the providers or frameworks that use it.
        counts: names of counts; one of them identifies the format.
        objects: names of objects; one of them identifies the format.
    """

    name: str
    read: Callable[[Json, Counts], None]
    counts: Sequence[str]
    objects: Sequence[str] = ()

    def fits(self, usage: Json) -> bool:
        """Return whether `usage` has this format."""
        if any(usage.get(name) is not None for name in self.counts):
            return True
        return any(isinstance(usage.get(name), Mapping) for name in self.objects)


_TELEMETRY = ("input_tokens", "prompt_tokens", "output_tokens", "completion_tokens", "total_tokens")
_GEMINI = ("prompt", "candidates", "response", "total")

FORMS = (
    Form(
        "OpenTelemetry, OpenLLMetry",
        read_open_telemetry,
        (*(f"gen_ai.usage.{name}" for name in _TELEMETRY), *(f"llm.usage.{name}" for name in _TELEMETRY)),
    ),
    Form(
        "OpenInference", read_open_inference, tuple(f"llm.token_count.{n}" for n in ("prompt", "completion", "total"))
    ),
    Form(
        "Gemini, Gemini Live",
        read_gemini,
        (*(f"{name}TokenCount" for name in _GEMINI), *(f"{name}_token_count" for name in _GEMINI)),
    ),
    Form(
        "Amazon Bedrock",
        read_bedrock,
        (
            *("cacheReadInputTokens", "cacheWriteInputTokens", "cacheReadInputTokenCount", "cacheWriteInputTokenCount"),
            *("inputTokenCount", "outputTokenCount"),
        ),
        objects=("serverToolUsage",),
    ),
    Form(
        "Vercel AI SDK 4 to 6",
        read_vercel,
        ("inputTokens", "outputTokens", "promptTokens", "completionTokens", "totalTokens"),
    ),
    Form("Cohere", read_cohere, (), objects=("billed_units", "tokens")),
    Form(
        "OpenAI chat completions and embeddings, OpenRouter, xAI, DeepSeek, LiteLLM",
        read_chat,
        ("prompt_tokens", "completion_tokens"),
        objects=("prompt_tokens_details", "completion_tokens_details"),
    ),
    Form(
        "Anthropic",
        read_anthropic,
        ("cache_read_input_tokens", "cache_creation_input_tokens"),
        objects=("cache_creation", "server_tool_use"),
    ),
    Form(
        "OpenAI responses, images, realtime, transcriptions and agents, LangChain, pydantic-ai",
        read_totals,
        ("input_tokens", "output_tokens", "total_tokens"),
    ),
    Form("Ollama", read_ollama, ("prompt_eval_count", "eval_count")),
    Form("Transcription by time", read_duration, ("seconds",)),
)
"""The most specific format first: Anthropic's own names precede the plain `input_tokens`."""


def form_of(usage: Json) -> Form | None:
    """Return the format of `usage`; None if it is not known."""
    return next((form for form in FORMS if form.fits(usage)), None)
