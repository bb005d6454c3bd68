"""Gathers what the replies of one use say, whole ones and pieces of streams, each counted once. Pure."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from typing import Any

from faregate.client.errors import UnreadableReply
from faregate.client.replies.estimating import reply_tokens
from faregate.client.replies.reading import plain, reading_of
from faregate.client.values import ModelUsage
from faregate.wire.exact_json import mapping
from faregate.wire.provider_usage import Reading, model_in, tier_in

__all__ = ["LINES_LIMIT", "Lines", "Observer", "merged"]

log = logging.getLogger("faregate.client")

LINES_LIMIT = 100
"""Most lines that one settlement may have."""

UNKNOWN_MODEL = "unknown"
"""What a use is settled under whose model nobody names: the gateway keeps such lines unpriced until they are priced."""

_REPLIES = frozenset(
    {"chat.completion", "text_completion", "response", "message", "ai", "list", "responses.compaction"}
)
_CHUNKS = frozenset({"chat.completion.chunk", "AIMessageChunk"})
_EVENTS = re.compile(
    r"ping|error|delta|response\.|content[_-]|message[_-]|transcript\.|speech\.|image_|text-|tool-|citation-|stream-|thread\."
)
"""How the types of events begin that providers send in streams, and that tell no usage yet."""
_BRINGS = re.compile(r"delta|text-generation")
"""The events that bring content; those that repeat it whole at its end do not count again."""
_MARKS = frozenset({"choices", "candidates", "messageStop", "contentBlockStart", "contentBlockStop", "event_type"})


@dataclass
class _Seen:
    """One reply. Until its usage is final, what came bounds its output from below, and the request its input.

    Attributes:
        asked: estimated tokens of the request; None if it was not seen.
        pieces: pieces of content that came.
        said: estimated tokens of the content that came.
        total: the provider's sum, where it contradicts `counts`, which are as they came.
        cost: what the provider says it cost, in USD.
        untold: the reply is complete, or cannot be read, and its usage will never be known.
    """

    model: str | None = None
    provider: str | None = None
    service_tier: str | None = None
    counts: dict[str, int] = field(default_factory=dict[str, int])
    total: int | None = None
    cost: Decimal | None = None
    final: bool = False
    asked: int | None = None
    pieces: int = 0
    said: int = 0
    untold: bool = False


@dataclass(frozen=True, slots=True)
class Lines:
    """What a use is settled by.

    Attributes:
        estimated: some counts are estimated, because their reply broke off before it told its usage, or never told it.
        unread: models of replies whose usage nobody knows, not even by an estimate; each is an unpriced line.
    """

    usages: Sequence[ModelUsage]
    estimated: bool = False
    unread: Sequence[str] = ()


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
        self._expected: _Seen | None = None
        self.closed = False
        self.stirred = 0

    @property
    def empty(self) -> bool:
        """Whether nothing was seen at all."""
        return not (self._seen or self._given)

    def add(self, usage: ModelUsage) -> None:
        """Take a line as the caller counted it."""
        self._given.append(usage)

    def expect(self, model: str | None, asked: int | None) -> None:
        """Take note of a request that is sent; the next reply is the one to it.

        Args:
            asked: its estimated tokens, for a reply that never tells them; None if they say nothing about its price.
        """
        self._expected = _Seen(model, asked=asked)

    def fail(self) -> None:
        """Take note that the request, or its stream, failed: without a reply nothing is owed for it."""
        self._expected = None

    def break_off(self) -> None:
        """Take note that the caller reads no further: the request is owed, also if nothing came yet."""
        if self._expected is not None:
            self._seen[next(self._numbers)] = self._expected
            self._expected = None

    def see_untold(self, model: str | None = None) -> None:
        """Take note that a reply came whole; of one that told no usage only an estimate is known, or nothing."""
        if self._expected is None and model is None:
            return
        seen = self._expected or _Seen()
        seen.model, seen.untold = model or seen.model, True
        self._seen[next(self._numbers)] = seen
        self._expected = None

    def take(self, other: "Observer") -> None:
        """Take all that another observer saw; what it sees from now on comes too late."""
        other.break_off()
        other.closed = True
        self._given += other._given  # noqa: SLF001  one of us
        for key, seen in other._seen.items():  # noqa: SLF001
            self._seen[key if isinstance(key, str) else next(self._numbers)] = seen

    def see(self, reply: Any, *, model: str | None = None) -> None:
        """Take what a whole reply or one event of a stream tells.

        Raises:
            UnreadableReply: `reply` is nothing that a provider sends, or it holds no usage in a form that is known.
        """
        body = plain(reply)
        if not self._take(body, model):
            names = ", ".join(list(body)[:8]) or "nothing"
            raise UnreadableReply(
                f"no usage was found in a {type(reply).__name__} with {names}; give the whole reply, or `add(model, …)`",
                code="unreadable_reply",
                param="reply",
            )

    def see_piece(self, reply: Any, *, model: str | None = None) -> bool:
        """Take what one item of a stream tells; tell whether it was readable. Never fails: the stream is the host's."""
        try:
            return self._take(plain(reply), model)
        except UnreadableReply as error:
            log.warning("an item of a stream cannot be read: %s", error)
            return False

    def lines(self, estimate: Sequence[ModelUsage] = ()) -> Lines:
        """Return the lines of the settlement.

        A reply without usage has the input of the `estimate` for its model, else that of its request, and what came as
        its output. One of which nothing is known is a line of the model `unknown`, which the gateway keeps unpriced.
        """
        unread: list[str] = []
        unfinished = [seen for seen in self._seen.values() if not seen.final]
        for seen in self._seen.values():
            _name(seen, estimate)
        for seen in unfinished:
            if not _guess(seen, estimate):
                unread.append(seen.model or UNKNOWN_MODEL)
                seen.model, seen.provider = UNKNOWN_MODEL, None
        usages = merged([*self._given, *map(_line, self._seen.values())])
        return Lines(usages, estimated=len(unfinished) > len(unread), unread=tuple(unread))

    def _take(self, body: Mapping[str, Any], model: str | None) -> bool:
        self.stirred += 1
        try:
            return self._taken(body, model)
        except UnreadableReply as error:
            log.warning("a reply cannot be read, what the estimate says is assumed of it: %s", error)
            self.see_untold(model or model_in(body) or UNKNOWN_MODEL)
            return True

    def _taken(self, body: Mapping[str, Any], model: str | None) -> bool:
        kind = body.get("type")
        event = kind if isinstance(kind, str) else str(body.get("event_type", ""))
        if self._takes_frame(body, event, model):
            return True
        if {body.get("object"), event} & _CHUNKS or body.get("done") is False:
            self._see_chunk(body, model)
        elif {body.get("object"), event} & _REPLIES:
            self._see_reply(body, model)
        elif _EVENTS.match(event):
            if reading_of(body) is not None or (_BRINGS.search(event) and reply_tokens(body)):
                self._see_delta(body, model)
        elif reading_of(body) is not None:
            self._see_reply(body, model)
        elif _MARKS & body.keys():
            self._see_chunk(body, model)
        else:
            return False
        return True

    def _takes_frame(self, body: Mapping[str, Any], event: str, model: str | None) -> bool:
        """Take an event that begins a reply, ends it, or wraps it; tell whether this is one."""
        if event == "message_start":
            self._see_reply(mapping(body.get("message")), model, final=False)
        elif "messageStart" in body:
            self._streaming = next(self._numbers)
        elif event == "message_delta" or "contentBlockDelta" in body:
            self._see_delta(body, model)
        elif event == "message-end":
            self._see_delta(mapping(body.get("delta")), model)
        elif set(body) == {"metadata"}:
            self._see_delta(mapping(body["metadata"]), model)
        elif event.startswith("response.") and isinstance(body.get("response"), Mapping):
            self._see_reply(mapping(body["response"]), model)
        else:
            return False
        return True

    def _see_chunk(self, body: Mapping[str, Any], model: str | None) -> None:
        if reading_of(body) is not None or _id_in(body) is not None:
            self._see_reply(body, model)
        else:
            self._see_delta(body, model or model_in(body))

    def _see_reply(self, body: Mapping[str, Any], model: str | None, *, final: bool = True) -> None:
        key = _id_in(body) or next(self._numbers)
        self._streaming = key
        seen = self._at(key)
        seen.model = model or model_in(body) or seen.model
        seen.service_tier = tier_in(body) or seen.service_tier
        self._count_content(seen, body)
        reading = reading_of(body)
        if reading is not None:
            seen.provider, seen.service_tier = reading.provider, reading.service_tier or seen.service_tier
            seen.counts, seen.final = {}, final
            _fill(seen, reading)

    def _see_delta(self, body: Mapping[str, Any], model: str | None) -> None:
        """Take a piece of the reply that streams, or its last word; Bedrock's come under no id and no model."""
        seen = self._at(self._streaming)
        seen.model = model or seen.model
        reading = reading_of(body)
        if reading is None:
            self._count_content(seen, body)
            return
        _fill(seen, reading)
        seen.final = True
        if not isinstance(self._streaming, str):
            self._streaming = next(self._numbers)

    def _at(self, key: object) -> _Seen:
        """Return the reply of this key; a new one is that to the request that was sent last."""
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = self._expected or _Seen()
            self._expected = None
        return seen

    def _count_content(self, seen: _Seen, body: Mapping[str, Any]) -> None:
        tokens = reply_tokens(body)
        seen.pieces += tokens > 0
        seen.said += tokens


def _fill(seen: _Seen, reading: Reading) -> None:
    """Take counts as they came, so that the gateway compares them with the total itself."""
    told = dict(reading.counts)
    if reading.missing_tokens:
        told["output_tokens"] -= reading.missing_tokens
    seen.counts = {**seen.counts, **told}
    seen.total = reading.contradicted_total
    seen.cost = reading.reported_cost_usd or seen.cost


def merged(lines: Sequence[ModelUsage]) -> list[ModelUsage]:
    """Return at most 100 lines.

    As long as they fit they stay apart: prices may depend on the size of a single call. Beyond, lines of one model are
    added up; not those whose totals say more with those whose totals say less, which would hide each other.
    """
    if len(lines) <= LINES_LIMIT:
        return list(lines)
    sums: dict[tuple[object, ...], ModelUsage] = {}
    for line in lines:
        key = (
            *(line.model, line.provider, line.service_tier),
            *(_gap(line), line.reported_cost_usd is None),
        )
        sums[key] = _sum(sums[key], line) if key in sums else line
    return list(sums.values())


def _gap(line: ModelUsage) -> int | None:
    """Return whether the reported total says less than the counts (-1), the same (0) or more (1); None without one."""
    if not line.total_tokens:
        return None
    read = line.input_tokens + line.output_tokens
    return (line.total_tokens > read) - (line.total_tokens < read)


def _sum(one: ModelUsage, other: ModelUsage) -> ModelUsage:
    names = {**one.tokens, **other.tokens}
    totals, costs = (one.total_tokens, other.total_tokens), (one.reported_cost_usd, other.reported_cost_usd)
    return replace(
        one,
        total_tokens=None if None in totals else sum(filter(None, totals)),
        reported_cost_usd=None if None in costs else sum(filter(None, costs), Decimal(0)),
        tokens={name: one.tokens.get(name, 0) + other.tokens.get(name, 0) for name in names},
    )


def _name(seen: _Seen, estimate: Iterable[ModelUsage]) -> None:
    """A reply that names no model is one of the model that was estimated; what was used is never dropped for its name."""
    if seen.model is not None:
        return
    seen.model = next((line.model for line in estimate), UNKNOWN_MODEL)
    log.warning("a reply names no model; it is settled as %s: give `model=` where you observe it", seen.model)


def _guess(seen: _Seen, estimate: Iterable[ModelUsage]) -> bool:
    """Fill in what a reply did not tell; tell whether anything is known of it."""
    expected = {line.model: line for line in estimate}
    known = expected.get(seen.model or UNKNOWN_MODEL) or (next(iter(expected.values())) if len(expected) == 1 else None)
    asked = known.input_tokens if known is not None else seen.asked
    came = max(seen.pieces, seen.said, seen.counts.get("output_tokens", 0))
    if seen.untold and not came and known is not None:
        came = known.output_tokens
    if "input_tokens" not in seen.counts and asked:
        seen.counts["input_tokens"] = asked
    seen.counts = {name: number for name, number in {**seen.counts, "output_tokens": came}.items() if number}
    log.warning("a reply of %s did not tell its usage; %s is assumed", seen.model, seen.counts or "nothing")
    return bool(seen.counts) and not (seen.untold and known is None and not came)


def _line(seen: _Seen) -> ModelUsage:
    totals = {"input_tokens": 0, "output_tokens": 0}
    return ModelUsage(
        seen.model or UNKNOWN_MODEL,
        provider=seen.provider,
        service_tier=seen.service_tier,
        tokens={**totals, **seen.counts} if seen.counts else {},
        total_tokens=seen.total,
        reported_cost_usd=seen.cost,
    )


def _id_in(body: Mapping[str, Any]) -> str | None:
    ids = (body.get(name) for name in ("id", "response_id", "responseId"))
    return next((found for found in ids if isinstance(found, str) and found), None)
