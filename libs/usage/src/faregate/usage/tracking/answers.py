"""Model and token counts, read from a provider's response.

The response is read as it is streamed, in bounded memory, and never delayed.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from faregate.core.errors import FaregateError
from faregate.usage.credits_process.provider_lines import native_usage
from faregate.wire import exact_json

__all__ = ["AnswerReader", "reader_for"]

_USAGE = re.compile(rb'"usage(?:Metadata|_metadata)?"\s*:\s*\{|(?:_tokens|TokenCount|Tokens)"\s*:')
"""Matches every known form of usage; most events of a stream match none and are not parsed."""

_COUNTS = ("input_tokens", "output_tokens")


class AnswerReader:
    """Reads the parts of a provider's response, JSON or server-sent events, in bounded memory.

    A JSON response longer than `limit_bytes` is not read, nor is a longer event.

    Attributes:
        model, provider: what the response names, if anything.
        tokens: input and output tokens; for a stream the highest counts, since providers repeat and complete them.
    """

    def __init__(self, *, events: bool, limit_bytes: int) -> None:
        self._events = events
        self._limit_bytes = limit_bytes
        self._kept = bytearray()
        self._skipping = False
        self.model: str | None = None
        self.provider: str | None = None
        self.tokens: dict[str, int] = {}

    def take(self, part: bytes) -> None:
        """Read the next part of the response."""
        if self._events:
            self._take_lines(part)
        elif not self._skipping:
            self._keep(part)

    def end(self) -> None:
        """Read what is left at the end of the response."""
        if self._events:
            self._take_lines(b"\n")
        elif not self._skipping:
            self._read(bytes(self._kept))
        self._kept.clear()

    def _keep(self, part: bytes) -> None:
        if len(self._kept) + len(part) > self._limit_bytes:
            self._kept.clear()
            self._skipping = True
        else:
            self._kept += part

    def _take_lines(self, part: bytes) -> None:
        *lines, rest = part.split(b"\n")
        for line in lines:
            if not self._skipping:
                self._keep(line)
            if not self._skipping and self._kept.startswith(b"data:"):
                self._read(bytes(self._kept[5:]))
            self._kept.clear()
            self._skipping = False
        if not self._skipping:
            self._keep(rest)

    def _read(self, text: bytes) -> None:
        if _USAGE.search(text) is None:
            return
        try:
            body = exact_json.loads(text)
            if isinstance(body, Mapping):
                self._add(cast("Mapping[str, Any]", body))
        except FaregateError:
            return  # not a response of a known provider

    def _add(self, body: Mapping[str, Any]) -> None:
        usage = native_usage(body, model=self.model)
        self.model, self.provider = usage.model, usage.provider or self.provider
        for name in _COUNTS:
            self.tokens[name] = max(self.tokens.get(name, 0), usage.tokens.get(name, 0))


def reader_for(headers: Mapping[bytes, bytes], *, limit_bytes: int) -> AnswerReader | None:
    """Return a reader if a response with these headers can come from a provider; compressed ones are not read."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    events = kind == b"text/event-stream"
    if limit_bytes <= 0 or headers.get(b"content-encoding", b"identity").lower() != b"identity":
        return None
    if not events and kind != b"application/json" and not kind.endswith(b"+json"):
        return None
    return AnswerReader(events=events, limit_bytes=limit_bytes)
