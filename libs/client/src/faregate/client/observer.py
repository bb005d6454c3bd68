"""Gathers what the replies of one use say, whole ones and pieces of streams, each counted once. Pure."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from faregate.client.errors import UnreadableReply
from faregate.client.exact_json import mapping
from faregate.client.observing import plain, reading_of
from faregate.client.values import ModelUsage
from faregate.wire.provider_usage import model_in, tier_in

__all__ = ["LINES_LIMIT", "Observer", "merged"]

log = logging.getLogger("faregate.client")

LINES_LIMIT = 100
"""Most lines that one settlement may have."""

UNKNOWN_MODEL = "unknown"
"""What a use is settled under whose model nobody names: the gateway keeps such lines unpriced until they are priced."""

_REPLIES = frozenset({"chat.completion", "chat.completion.chunk", "text_completion", "response", "message"})
_PIECES = frozenset({"content_block_delta", "response.output_text.delta", "response.function_call_arguments.delta"})
_TOTALS = ("input_tokens", "output_tokens")


@dataclass
class _Seen:
    """One reply. Until its usage is final, the pieces of content that came bound its output from below."""

    model: str | None = None
    provider: str | None = None
    service_tier: str | None = None
    counts: dict[str, int] = field(default_factory=dict[str, int])
    final: bool = False
    pieces: int = 0
    assumed: bool = False


class Observer:
    """Sees replies and tells the lines of the settlement.

    A reply is known by its id, so that seeing it twice, or each chunk of its stream, counts it once. Give each of
    several streams that run at once an observer of its own (`Ride.watch` does).
    """

    def __init__(self) -> None:
        self._seen: dict[object, _Seen] = {}
        self._given: list[ModelUsage] = []
        self._numbers = count()
        self._streaming: object = None

    @property
    def empty(self) -> bool:
        """Whether nothing was seen at all."""
        return not (self._seen or self._given)

    def add(self, usage: ModelUsage) -> None:
        """Take a line as the caller counted it."""
        self._given.append(usage)

    def see_untold(self, model: str | None) -> None:
        """Take note of a reply that cannot be read: what the estimate says is assumed of it."""
        self._seen[next(self._numbers)] = _Seen(model, assumed=True)

    def take(self, other: "Observer") -> None:
        """Take all that another observer saw."""
        self._given += other._given  # noqa: SLF001  one of us
        for key, seen in other._seen.items():  # noqa: SLF001
            self._seen[key if isinstance(key, str) else next(self._numbers)] = seen

    def see(self, reply: Any, *, model: str | None = None) -> None:
        """Take what a whole reply or one event of a stream tells.

        Raises:
            TypeError: `reply` is nothing that a provider sends.
        """
        body = plain(reply)
        try:
            self._take(body, model)
        except UnreadableReply as error:
            log.warning("a reply cannot be read, what the estimate says is assumed of it: %s", error)
            self.see_untold(model or model_in(body))

    def _take(self, body: Mapping[str, Any], model: str | None) -> None:
        kind = body.get("type")
        if kind == "message_start":
            self._see_reply(mapping(body.get("message")), model, final=False)
        elif "messageStart" in body:
            self._streaming = next(self._numbers)
        elif kind == "message_delta" or kind in _PIECES or "contentBlockDelta" in body:
            self._see_delta(body, model)
        elif set(body) == {"metadata"}:
            self._see_delta(mapping(body["metadata"]), model)
        elif isinstance(kind, str) and kind.startswith("response.") and isinstance(body.get("response"), Mapping):
            self._see_reply(mapping(body["response"]), model)
        elif reading_of(body) is not None or kind in _REPLIES or body.get("object") in _REPLIES:
            self._see_reply(body, model)

    def usages(self, estimate: Sequence[ModelUsage] = ()) -> tuple[list[ModelUsage], bool]:
        """Return the lines, and whether some are estimated because their reply broke off before it told its usage.

        Such a line has the input tokens of the `estimate` for its model and one output token per piece of content.
        """
        unfinished = [seen for seen in self._seen.values() if not seen.final]
        for seen in self._seen.values():
            _name(seen, estimate)
        for seen in unfinished:
            _guess(seen, estimate)
        lines = [*self._given, *(_line(seen) for seen in self._seen.values() if seen.counts)]
        return merged(lines), any(seen.counts for seen in unfinished)

    def _see_reply(self, body: Mapping[str, Any], model: str | None, *, final: bool = True) -> None:
        key = body.get("id") or body.get("response_id") or body.get("responseId") or next(self._numbers)
        self._streaming = key
        seen = self._seen.setdefault(key, _Seen())
        seen.model = model or model_in(body) or seen.model
        seen.service_tier = tier_in(body) or seen.service_tier
        seen.pieces += _has_content(body)
        reading = reading_of(body)
        if reading is not None:
            seen.provider, seen.service_tier = reading.provider, reading.service_tier or seen.service_tier
            seen.counts, seen.final = dict(reading.counts), final

    def _see_delta(self, body: Mapping[str, Any], model: str | None) -> None:
        """Take a piece of the reply that streams, or its last word; Bedrock's come under no id and no model."""
        seen = self._seen.setdefault(self._streaming, _Seen())
        seen.model = model or seen.model
        reading = reading_of(body)
        if reading is None:
            seen.pieces += 1
            return
        seen.counts = {**seen.counts, **reading.counts}
        seen.final = True


def merged(lines: Sequence[ModelUsage]) -> list[ModelUsage]:
    """Return at most 100 lines.

    As long as they fit they stay apart: prices may depend on the size of a single call. Beyond, lines of one model are
    added up.
    """
    if len(lines) <= LINES_LIMIT:
        return list(lines)
    sums: dict[tuple[str, str | None, str | None], ModelUsage] = {}
    for line in lines:
        key = (line.model, line.provider, line.service_tier)
        sums[key] = _sum(sums[key], line) if key in sums else line
    return list(sums.values())


def _sum(one: ModelUsage, other: ModelUsage) -> ModelUsage:
    names = {**one.more, **other.more}
    return replace(
        one,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        more={name: one.more.get(name, 0) + other.more.get(name, 0) for name in names},
    )


def _name(seen: _Seen, estimate: Iterable[ModelUsage]) -> None:
    """A reply that names no model is one of the model that was estimated; what was used is never dropped for its name."""
    if seen.model is not None:
        return
    seen.model = next((line.model for line in estimate), UNKNOWN_MODEL)
    log.warning("a reply names no model; it is settled as %s: give `model=` where you observe it", seen.model)


def _guess(seen: _Seen, estimate: Iterable[ModelUsage]) -> None:
    expected = {line.model: line for line in estimate}
    known = expected.get(seen.model or UNKNOWN_MODEL) or (next(iter(expected.values())) if len(expected) == 1 else None)
    if "input_tokens" not in seen.counts and known is not None:
        seen.counts["input_tokens"] = known.input_tokens
    if seen.assumed and known is not None:
        seen.pieces = known.output_tokens
    seen.counts["output_tokens"] = max(seen.counts.get("output_tokens", 0), seen.pieces)
    seen.counts = {name: number for name, number in seen.counts.items() if number}
    log.warning("a reply of %s did not tell its usage; %s is assumed", seen.model, seen.counts or "nothing")


def _line(seen: _Seen) -> ModelUsage:
    more = {name: number for name, number in seen.counts.items() if name not in _TOTALS}
    return ModelUsage(
        seen.model or UNKNOWN_MODEL,
        seen.counts.get("input_tokens", 0),
        seen.counts.get("output_tokens", 0),
        provider=seen.provider,
        service_tier=seen.service_tier,
        more=more,
    )


def _has_content(body: Mapping[str, Any]) -> bool:
    """Tell whether a chunk of a chat brings content."""
    choices: Any = body.get("choices") or []
    deltas = [mapping(mapping(choice).get("delta")) for choice in choices]
    return any(
        delta.get(name) for delta in deltas for name in ("content", "tool_calls", "refusal", "reasoning_content")
    )
