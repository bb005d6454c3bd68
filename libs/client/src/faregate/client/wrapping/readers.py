"""Readers of response bodies while the host reads them. Pure."""

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
    """The provider reported an error within its stream."""


class BodyReader:
    """Reader of a body whose content type is not known; base of the other readers.

    Attributes:
        failure: the error that ended the body; None if it is complete or its reader stopped.
        needs_the_rest: a body that is closed before it was read must be read to its end, because only the whole body
            reports the usage.
    """

    needs_the_rest = False

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.failure: BaseException | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Read bytes as they arrive; return those that the host receives."""
        return chunk

    def rest(self) -> bytes:
        """Return the bytes that were held back until the end of the body."""
        return b""

    def end(self, failure: BaseException | None, *, whole: bool) -> None:  # noqa: ARG002  used by the subclasses
        """Record the end of the body; `whole`: it is complete."""
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
    """Reader of server-sent events. `hide_usage`: the host did not ask for the event with the usage and must not receive it."""

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
    """Observe a whole reply. A reply that cannot be read is settled as unpriced and must not fail the host."""
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
    """Return the JSON object of an event; an empty one for comments and the end marker."""
    lines = (line for line in event.splitlines() if line.startswith(b"data:"))
    text = b"\n".join(line.removeprefix(b"data:").removeprefix(b" ") for line in lines)
    if not text.startswith(b"{"):
        return {}
    try:
        return mapping(exact_json.loads_lenient(text))
    except ValueError:
        return {}
