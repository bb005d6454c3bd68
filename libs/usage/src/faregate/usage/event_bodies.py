"""Usage events as they travel: JSON objects and arrays, lines of JSON, CloudEvents. Pure."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

from faregate.core import exact_json
from faregate.core.errors import InvalidError, MalformedError
from faregate.usage.recording import EventLike

__all__ = ["CLOUD_EVENT", "CLOUD_EVENTS", "NDJSON", "events_in_lines", "events_of"]

NDJSON = "application/x-ndjson"
CLOUD_EVENT = "application/cloudevents+json"
CLOUD_EVENTS = "application/cloudevents-batch+json"

_LINES_AT_ONCE = 5_000
_LINE_BYTES = 256 * 1024


def events_of(data: Any, *, cloud_events: bool = False) -> list[EventLike]:
    """Return the items of a body: of an array each, of an object that one."""
    items: list[Any] = cast("list[Any]", data) if isinstance(data, list) else [data]
    return [_item(item, cloud_events=cloud_events) for item in items]


async def events_in_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[Sequence[EventLike]]:
    """Read lines of JSON as they come, 5,000 at a time; empty lines are skipped."""
    lines: list[bytes] = []
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE_BYTES:
            raise MalformedError(f"a line of more than {_LINE_BYTES} bytes; end each event with a newline")
        lines += [line for line in whole if line.strip()]
        while len(lines) >= _LINES_AT_ONCE:
            yield _parsed(lines[:_LINES_AT_ONCE])
            lines = lines[_LINES_AT_ONCE:]
    if rest.strip():
        lines.append(rest)
    if lines:
        yield _parsed(lines)


def _parsed(lines: Sequence[bytes]) -> list[EventLike]:
    """Parse all lines as one array, which is faster, and each alone if that fails."""
    try:
        items = exact_json.loads(b"[" + b",".join(lines) + b"]")
        if len(items) == len(lines):
            return [_item(item, cloud_events=False) for item in items]
    except MalformedError:
        pass
    return [_line(line) for line in lines]


def _line(line: bytes) -> EventLike:
    try:
        return _item(exact_json.loads(line), cloud_events=False)
    except MalformedError as error:
        return InvalidError(error.detail)


def _item(item: Any, *, cloud_events: bool) -> EventLike:
    if not isinstance(item, dict):
        return InvalidError("an event must be an object")
    fields = cast("Mapping[str, Any]", item)
    return _from_cloud_event(fields) if cloud_events or "specversion" in fields else fields


def _from_cloud_event(envelope: Mapping[str, Any]) -> EventLike:
    """Return the event in a CloudEvent: `id`, `source` and `time` of the envelope, the rest from `data`; without them
    there, `subject` is the user and `type` the service.
    """
    data = envelope.get("data")
    if envelope.get("specversion") != "1.0" or not isinstance(data, dict):
        return InvalidError("a CloudEvent needs specversion 1.0 and an object as data")
    if not isinstance(envelope.get("id"), str) or not isinstance(envelope.get("source"), str):
        return InvalidError("a CloudEvent needs an id and a source")
    outer = {"user_id": envelope.get("subject"), "service": envelope.get("type"), "time": envelope.get("time")}
    given = {name: value for name, value in outer.items() if value is not None}
    return {**given, **cast("Mapping[str, Any]", data), "id": envelope["id"], "source": envelope["source"]}
