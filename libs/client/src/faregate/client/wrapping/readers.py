"""Bodies of responses, read while they pass: events, JSON, and what cannot be read. Pure."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from faregate.client.replies.observer import Observer
from faregate.wire import exact_json
from faregate.wire.exact_json import mapping

__all__ = ["BodyReader", "ProviderFailedError", "reader_for"]

log = logging.getLogger("faregate.client")

_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LONGEST_END = 4


class ProviderFailedError(Exception):
    """The provider reported an error in the middle of its stream."""


class BodyReader:
    """Sees a body that it cannot read; the base of those that can.

    Attributes:
        failure: why the body broke off, unless its reader did that.
        needs_the_rest: a body closed unread is to be read out, since it is complete and short.
    """

    needs_the_rest = False

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.failure: BaseException | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes as they come; return those that the host may see."""
        return chunk

    def rest(self) -> bytes:
        """Return what was held back, at the end of the body."""
        return b""

    def end(self, failure: BaseException | None, *, whole: bool) -> None:  # noqa: ARG002  others need it
        """Take note that no more comes; `whole`: the body came to its own end."""
        self.failure = self.failure or failure
        self._observer.end_without_usage()


class _JsonReader(BodyReader):
    needs_the_rest = True

    def __init__(self, observer: Observer) -> None:
        super().__init__(observer)
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> bytes:
        self._parts.append(chunk)
        return chunk

    def end(self, failure: BaseException | None, *, whole: bool) -> None:
        self.failure = failure
        if not whole:
            self._observer.break_off()
        else:
            see_json(self._observer, b"".join(self._parts))
        self._parts.clear()


class _EventReader(BodyReader):
    """Server-sent events. `hide_usage`: the host did not ask for the event that tells the usage, and must not see it."""

    def __init__(self, observer: Observer, *, hide_usage: bool) -> None:
        super().__init__(observer)
        self._hide_usage = hide_usage
        self._waiting = b""

    def feed(self, chunk: bytes) -> bytes:
        start = max(0, len(self._waiting) - _LONGEST_END)
        self._waiting += chunk
        passed: list[bytes] = []
        begun = 0
        for match in _EVENT_END.finditer(self._waiting, start):
            event = self._waiting[begun : match.end()]
            begun = match.end()
            if self._passes(event):
                passed.append(event)
        self._waiting = self._waiting[begun:]
        return b"".join(passed) if self._hide_usage else chunk

    def rest(self) -> bytes:
        left, self._waiting = self._waiting, b""
        passes = self._passes(left)
        return left if self._hide_usage and passes else b""

    def end(self, failure: BaseException | None, *, whole: bool) -> None:
        self.failure = self.failure or failure
        if self.failure is not None:
            self._observer.fail()
        elif whole:
            self._observer.end_without_usage()
        else:
            self._observer.break_off()

    def _passes(self, event: bytes) -> bool:
        body = _data(event)
        if not body:
            return True
        if body.get("error") or body.get("type") == "error":
            self.failure = ProviderFailedError(str(body.get("error") or body.get("message")))
            return True
        _see(self._observer, body)
        return not (self._hide_usage and body.get("usage") and body.get("choices") == [])


def reader_for(content_type: str, observer: Observer, *, hide_usage: bool) -> BodyReader:
    """Return a reader for a body of this content type."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return _EventReader(observer, hide_usage=hide_usage)
    if kind == "application/json" or kind.endswith("+json"):
        return _JsonReader(observer)
    return BodyReader(observer)


def see_json(observer: Observer, content: bytes) -> None:
    """Observe a whole reply; one that cannot be read is settled as unpriced and must not break the host."""
    try:
        body = exact_json.loads_lenient(content)
    except ValueError as error:
        log.warning("a reply is not JSON: %s", error)
        body = None
    if isinstance(body, Mapping):
        _see(observer, mapping(body))
    observer.end_without_usage()


def _see(observer: Observer, body: Mapping[str, Any]) -> None:
    try:
        observer.observe_chunk(body)
    except Exception:
        log.exception("a reply cannot be observed")


def _data(event: bytes) -> Mapping[str, Any]:
    """Return the JSON object of an event; an empty one for comments and the end mark."""
    lines = (line for line in event.splitlines() if line.startswith(b"data:"))
    text = b"\n".join(line.removeprefix(b"data:").removeprefix(b" ") for line in lines)
    if not text.startswith(b"{"):
        return {}
    try:
        return mapping(exact_json.loads_lenient(text))
    except ValueError:
        return {}
