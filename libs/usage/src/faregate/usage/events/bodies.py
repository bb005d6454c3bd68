"""Formats of usage events: JSON, NDJSON and CloudEvents."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

from faregate.core.errors import InvalidError, MalformedError
from faregate.core.values.json_items import Unreadable
from faregate.usage.events.recorder import EventLike
from faregate.wire import exact_json

__all__ = ["CLOUD_EVENT", "CLOUD_EVENTS", "NDJSON", "events_in_lines", "events_of"]

NDJSON = "application/x-ndjson"
CLOUD_EVENT = "application/cloudevents+json"
CLOUD_EVENTS = "application/cloudevents-batch+json"

_LINES_AT_ONCE = 5_000
_BYTES_AT_ONCE = 2 * 1024 * 1024
_LINE_BYTES = 256 * 1024

_NO_OBJECT = InvalidError("an event must be an object")
_TOO_LONG = InvalidError(f"a line is longer than {_LINE_BYTES} bytes; end each event with a newline")


def events_of(data: Any, *, cloud_events: bool = False) -> list[EventLike]:
    """Return the events of a body: the items of an array, or the one object."""
    items: list[Any] = cast("list[Any]", data) if isinstance(data, list) else [data]
    return [_item(item, cloud_events=cloud_events) for item in items]


async def events_in_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[Sequence[EventLike]]:
    """Read NDJSON as it arrives, at most 5,000 lines or about 2 MiB at a time; empty lines are skipped."""
    splitter = _Splitter()
    async for chunk in chunks:
        splitter.feed(chunk)
        while splitter.is_full:
            yield _parsed(splitter.take())
            await asyncio.sleep(0)  # yields to other tasks while a large body is parsed
    splitter.end()
    while lines := splitter.take():
        yield _parsed(lines)
        await asyncio.sleep(0)


class _Splitter:
    """Splits bytes into lines; a line above the limit is discarded and reported as an error."""

    def __init__(self) -> None:
        self._lines: deque[bytes | InvalidError] = deque()
        self._size = 0
        self._rest = bytearray()
        self._too_long = False

    @property
    def is_full(self) -> bool:
        return len(self._lines) >= _LINES_AT_ONCE or self._size >= _BYTES_AT_ONCE

    def feed(self, chunk: bytes) -> None:
        first, *whole = chunk.split(b"\n")
        self._add(first)
        if not whole:
            return
        self.end()
        last = whole.pop()
        lines = [line for line in whole if line.strip()]
        self._lines += [line if len(line) <= _LINE_BYTES else _TOO_LONG for line in lines]
        self._size += sum(map(len, lines))
        self._add(last)

    def end(self) -> None:
        """End the current line."""
        line, self._rest = bytes(self._rest), bytearray()
        if self._too_long:
            self._lines.append(_TOO_LONG)
        elif line.strip():
            self._lines.append(line)
            self._size += len(line)
        self._too_long = False

    def take(self) -> list[bytes | InvalidError]:
        """Return the next lines, as many as are processed at a time."""
        taken: list[bytes | InvalidError] = []
        size = 0
        while self._lines and len(taken) < _LINES_AT_ONCE and size < _BYTES_AT_ONCE:
            line = self._lines.popleft()
            taken.append(line)
            size += len(line) if isinstance(line, bytes) else 0
        self._size = max(0, self._size - size) if self._lines else 0
        return taken

    def _add(self, part: bytes) -> None:
        self._too_long = self._too_long or len(self._rest) + len(part) > _LINE_BYTES
        if self._too_long:
            self._rest.clear()
        else:
            self._rest += part


def _parsed(lines: Sequence[bytes | InvalidError]) -> list[EventLike]:
    """Parse all lines as one array, which is faster; if that fails, parse each line separately."""
    try:
        items = exact_json.loads(b"[" + b",".join(lines) + b"]")  # type: ignore[arg-type]
        if len(items) == len(lines):
            return [_item(item, cloud_events=False) for item in items]
    except (MalformedError, TypeError):
        pass
    return [_line(line) for line in lines]


def _line(line: bytes | InvalidError) -> EventLike:
    if isinstance(line, InvalidError):
        return line
    try:
        return _item(exact_json.loads(line), cloud_events=False)
    except MalformedError as error:
        return InvalidError(error.detail)


def _item(item: Any, *, cloud_events: bool) -> EventLike:
    if isinstance(item, Unreadable):
        return InvalidError(item.error.detail)
    if not isinstance(item, dict):
        return _NO_OBJECT
    fields = cast("Mapping[str, Any]", item)
    return _from_cloud_event(fields) if cloud_events or "specversion" in fields else fields


def _from_cloud_event(envelope: Mapping[str, Any]) -> EventLike:
    """Return the event of a CloudEvent: `id` and `source` from the envelope, the other fields from `data`. Fields missing
    in `data` come from the envelope: `user_id` from `subject`, `service` from `type`, and `time`.
    """
    data = envelope.get("data")
    if envelope.get("specversion") != "1.0" or not isinstance(data, dict):
        return InvalidError("a CloudEvent requires specversion 1.0 and an object as data")
    if not isinstance(envelope.get("id"), str) or not isinstance(envelope.get("source"), str):
        return InvalidError("a CloudEvent requires an id and a source")
    outer = {"user_id": envelope.get("subject"), "service": envelope.get("type"), "time": envelope.get("time")}
    given = {name: value for name, value in outer.items() if value is not None}
    return {**given, **cast("Mapping[str, Any]", data), "id": envelope["id"], "source": envelope["source"]}
