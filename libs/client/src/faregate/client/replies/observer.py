"""Observer of provider replies, whole or streamed; each counts once. Pure."""

import logging
import re
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from faregate.client.errors import UnreadableReplyError
from faregate.client.replies.estimating import reply_tokens
from faregate.client.replies.reading import plain, reading_of
from faregate.client.replies.usage_lines import UNKNOWN_MODEL, Lines, ObservedReply, lines_of
from faregate.client.values import ModelUsage
from faregate.wire.exact_json import mapping
from faregate.wire.provider_usage import model_in, tier_in

__all__ = ["Observer"]

log = logging.getLogger("faregate.client")

_REPLIES = frozenset(
    {"chat.completion", "text_completion", "response", "message", "ai", "list", "responses.compaction"}
)
_CHUNKS = frozenset({"chat.completion.chunk", "AIMessageChunk"})
_EVENTS = re.compile(
    r"ping|error|delta|response\.|content[_-]|message[_-]|transcript\.|speech\.|image_|text-|tool-|citation-|stream-|thread\."
)
"""Beginnings of the types of stream events that do not report usage yet."""
_BRINGS = re.compile(r"delta|text-generation")
"""The events that bring content. Events that repeat the whole content at its end are not counted again."""
_MARKS = frozenset({"choices", "candidates", "messageStop", "contentBlockStart", "contentBlockStop", "event_type"})


class Observer:
    """Records the usage that replies report.

    A reply is identified by its id, so that it counts once if it is observed twice or chunk by chunk. Streams that run at
    the same time need an observer each (`ChargeSession.watch` makes one).
    """

    def __init__(self) -> None:
        self._replies: dict[object, ObservedReply] = {}
        self._counted: list[ModelUsage] = []
        self._numbers = count()
        self._streaming: object = None
        self._expected: ObservedReply | None = None
        self.closed = False
        self.activity = 0

    @property
    def empty(self) -> bool:
        """Whether nothing was observed at all."""
        return not (self._replies or self._counted)

    def add(self, usage: ModelUsage) -> None:
        """Add a line that the host counted itself."""
        self._counted.append(usage)

    def expect(self, model: str | None, request_tokens: int | None) -> None:
        """Record a request that is sent; the next reply belongs to it.

        Args:
            request_tokens: its estimated tokens, for a reply that does not report them; None if its price does not depend on
                them.
        """
        self._expected = ObservedReply(model, request_tokens=request_tokens)

    def fail(self) -> None:
        """Record that the request, or its stream, failed: without a reply it is not charged."""
        self._expected = None

    def break_off(self) -> None:
        """Record that the caller stopped reading: the request is charged even if nothing was received yet."""
        if self._expected is not None:
            self._replies[next(self._numbers)] = self._expected
            self._expected = None

    def end_without_usage(self, model: str | None = None) -> None:
        """Record that a reply is complete. If it reported no usage, only an estimate of it is known, or nothing."""
        if self._expected is None and model is None:
            return
        reply = self._expected or ObservedReply()
        reply.model, reply.without_usage = model or reply.model, True
        self._replies[next(self._numbers)] = reply
        self._expected = None

    def merge(self, other: "Observer") -> None:
        """Add everything that another observer recorded, and close that one."""
        other.break_off()
        other.closed = True
        self._counted += other._counted  # noqa: SLF001  of this class
        for key, reply in other._replies.items():  # noqa: SLF001
            self._replies[key if isinstance(key, str) else next(self._numbers)] = reply

    def observe(self, reply: Any, *, model: str | None = None) -> None:
        """Record a whole reply or one event of a stream.

        Raises:
            UnreadableReplyError: `reply` is not a reply of a provider, or it holds no usage in a known form.
        """
        body = plain(reply)
        if not self._observe(body, model):
            names = ", ".join(list(body)[:8]) or "nothing"
            raise UnreadableReplyError(
                f"no usage was found in a {type(reply).__name__} with {names}; give the whole reply, or `add(model, …)`",
                param="reply",
            )

    def observe_chunk(self, reply: Any, *, model: str | None = None) -> bool:
        """Record one item of a stream; return whether it could be read. Never raises: it must not break the host's stream."""
        try:
            return self._observe(plain(reply), model)
        except UnreadableReplyError as error:
            log.warning("an item of a stream cannot be read: %s", error)
            return False

    def lines(self, estimate: Sequence[ModelUsage] = ()) -> Lines:
        """Return the lines of the settlement; see `lines_of`."""
        return lines_of(list(self._replies.values()), self._counted, estimate)

    def _observe(self, body: Mapping[str, Any], model: str | None) -> bool:
        self.activity += 1
        try:
            return self._observe_body(body, model)
        except UnreadableReplyError as error:
            log.warning("a reply cannot be read, its usage is taken from the estimate: %s", error)
            self._end_unreadable(body, model or model_in(body) or UNKNOWN_MODEL)
            return True

    def _end_unreadable(self, body: Mapping[str, Any], model: str) -> None:
        """Record that the usage of a reply cannot be read; a reply that is known already, such as a stream, stays one."""
        reply = self._replies.get(_id_in(body) or self._streaming)
        if reply is None or reply.final:
            self.end_without_usage(model)
            return
        reply.model, reply.without_usage = reply.model or model, True

    def _observe_body(self, body: Mapping[str, Any], model: str | None) -> bool:
        kind = body.get("type")
        event = kind if isinstance(kind, str) else str(body.get("event_type", ""))
        if self._observe_frame(body, event, model):
            return True
        if {body.get("object"), event} & _CHUNKS or body.get("done") is False:
            self._observe_chunk(body, model)
        elif {body.get("object"), event} & _REPLIES:
            self._observe_reply(body, model)
        elif _EVENTS.match(event):
            if reading_of(body) is not None or (_BRINGS.search(event) and reply_tokens(body)):
                self._observe_delta(body, model)
        elif reading_of(body) is not None:
            self._observe_reply(body, model)
        elif _MARKS & body.keys():
            self._observe_chunk(body, model)
        else:
            return False
        return True

    def _observe_frame(self, body: Mapping[str, Any], event: str, model: str | None) -> bool:
        """Record an event that begins, ends or wraps a reply; return whether `body` is one."""
        if event == "message_start":
            self._observe_reply(mapping(body.get("message")), model, final=False)
        elif "messageStart" in body:
            self._streaming = next(self._numbers)
        elif event == "message_delta" or "contentBlockDelta" in body:
            self._observe_delta(body, model)
        elif event == "message-end":
            self._observe_delta(mapping(body.get("delta")), model)
        elif set(body) == {"metadata"}:
            self._observe_delta(mapping(body["metadata"]), model)
        elif event.startswith("response.") and isinstance(body.get("response"), Mapping):
            self._observe_reply(mapping(body["response"]), model)
        else:
            return False
        return True

    def _observe_chunk(self, body: Mapping[str, Any], model: str | None) -> None:
        if reading_of(body) is not None or _id_in(body) is not None:
            self._observe_reply(body, model)
        else:
            self._observe_delta(body, model or model_in(body))

    def _observe_reply(self, body: Mapping[str, Any], model: str | None, *, final: bool = True) -> None:
        key = _id_in(body) or next(self._numbers)
        self._streaming = key
        reply = self._at(key)
        reply.model = model or model_in(body) or reply.model
        reply.service_tier = tier_in(body) or reply.service_tier
        self._count_content(reply, body)
        reading = reading_of(body)
        if reading is not None:
            reply.provider, reply.service_tier = reading.provider, reading.service_tier or reply.service_tier
            reply.counts, reply.final = {}, final
            reply.fill(reading)

    def _observe_delta(self, body: Mapping[str, Any], model: str | None) -> None:
        """Record a chunk of the reply that is streaming, or its last one. Bedrock's chunks carry neither id nor model."""
        reply = self._at(self._streaming)
        reply.model = model or reply.model
        reading = reading_of(body)
        if reading is None:
            self._count_content(reply, body)
            return
        reply.fill(reading)
        reply.final = True
        if not isinstance(self._streaming, str):
            self._streaming = next(self._numbers)

    def _at(self, key: object) -> ObservedReply:
        """Return the reply with this key; a new one belongs to the request that was sent last."""
        reply = self._replies.get(key)
        if reply is None:
            reply = self._replies[key] = self._expected or ObservedReply()
            self._expected = None
        return reply

    def _count_content(self, reply: ObservedReply, body: Mapping[str, Any]) -> None:
        tokens = reply_tokens(body)
        reply.chunks += tokens > 0
        reply.content_tokens += tokens


def _id_in(body: Mapping[str, Any]) -> str | None:
    ids = (body.get(name) for name in ("id", "response_id", "responseId"))
    return next((found for found in ids if isinstance(found, str) and found), None)
