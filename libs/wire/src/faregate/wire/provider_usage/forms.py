"""The known forms of usage, and what each is known by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from faregate.wire.provider_usage.anthropic import read_anthropic
from faregate.wire.provider_usage.bedrock import read_bedrock
from faregate.wire.provider_usage.counts import Counts, Json
from faregate.wire.provider_usage.gemini import read_gemini
from faregate.wire.provider_usage.open_telemetry import read_open_telemetry
from faregate.wire.provider_usage.openai import read_chat, read_duration
from faregate.wire.provider_usage.totals import read_totals

__all__ = ["Form", "form_of"]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to report usage.

    Attributes:
        counts: names of counts, one of which is enough to know the form.
        objects: names of objects, one of which is enough to know it.
    """

    read: Callable[[Json, Counts], None]
    counts: Sequence[str]
    objects: Sequence[str] = ()

    def fits(self, usage: Json) -> bool:
        """Tell whether `usage` is of this form."""
        if any(usage.get(name) is not None for name in self.counts):
            return True
        return any(isinstance(usage.get(name), Mapping) for name in self.objects)


_TELEMETRY = ("input_tokens", "prompt_tokens", "output_tokens", "completion_tokens")

_FORMS = (
    Form(read_open_telemetry, tuple(f"gen_ai.usage.{name}" for name in _TELEMETRY)),
    Form(read_gemini, ("promptTokenCount", "prompt_token_count")),
    Form(read_bedrock, ("inputTokens",)),
    Form(read_chat, ("prompt_tokens",)),
    Form(
        read_anthropic,
        ("cache_read_input_tokens", "cache_creation_input_tokens"),
        objects=("cache_creation", "server_tool_use"),
    ),
    Form(read_totals, ("input_tokens", "output_tokens")),
    Form(read_duration, ("seconds",)),
)
"""The most telling first: Anthropic's own names come before the plain `input_tokens`."""


def form_of(usage: Json) -> Form | None:
    """Return the form that `usage` is of; None if it is of no known one."""
    return next((form for form in _FORMS if form.fits(usage)), None)
