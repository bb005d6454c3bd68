"""Repair of AMQP frames whose properties cannot be decoded.

pamqp raises on a text that is not UTF-8, a time beyond year 9999 or a table nested too deep, and aiormq then closes the
connection. The broker delivers such a message again at once, so that it alone would hold up its queue. What cannot be
decoded is replaced before aiormq reads it.
"""

import asyncio
import struct
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, cast

from pamqp import decode
from pamqp.commands import Basic
from pamqp.header import ContentHeader

__all__ = ["UNREADABLE", "RepairingReader", "repaired"]

UNREADABLE = "x-unreadable"
"""The header that says why the headers of a message were replaced; `RAW` holds them as they came, if not too large."""
RAW = "x-raw-headers"

_METHOD, _HEADER = 1, 2
_DELIVER, _GET_OK = b"\x00\x3c\x00\x3c", b"\x00\x3c\x00\x47"
_HEAD = 7
_TAGS = 9
"""Bytes of a delivery tag and the flag behind it."""
_TEXT_LIMIT = 255
_DEPTH_LIMIT = 32
_RAW_LIMIT = 32 * 1024


class RepairingReader:
    """Reads from a `StreamReader` as aiormq does: a byte, the rest of a frame's head, then the frame."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._ready = b""

    def at_eof(self) -> bool:
        return not self._ready and self._reader.at_eof()

    async def readexactly(self, count: int) -> bytes:
        if not self._ready:
            self._ready = await self._frame()
        found, self._ready = self._ready[:count], self._ready[count:]
        return found

    async def read(self, count: int = -1) -> bytes:
        ready, self._ready = self._ready, b""
        return ready or await self._reader.read(count)

    async def _frame(self) -> bytes:
        head = await self._reader.readexactly(_HEAD)
        if head.startswith(b"AMQP"):  # the broker speaks another version; aiormq refuses that by these bytes
            return head
        size = int.from_bytes(head[3:_HEAD])
        return repaired(head + await self._reader.readexactly(size + 1))


def repaired(frame: bytes) -> bytes:
    """Return `frame`, or one in its place that can be decoded and has the same channel and size of body."""
    payload = frame[_HEAD:-1]
    if frame[0] == _HEADER and not _is_readable(payload):
        return _framed(frame, _readable_header(payload))
    if frame[0] == _METHOD and payload[:4] in {_DELIVER, _GET_OK}:
        return _framed(frame, _readable_delivery(payload))
    return frame


def _framed(frame: bytes, payload: bytes) -> bytes:
    return frame if payload == frame[_HEAD:-1] else frame[:3] + struct.pack(">I", len(payload)) + payload + frame[-1:]


def _is_readable(payload: bytes) -> bool:
    header = ContentHeader()
    try:
        header.unmarshal(payload)
    except Exception:  # noqa: BLE001  whatever pamqp raises here it would raise in the task that reads for all
        return False
    return _depth_is_fine(header.properties.headers)


def _depth_is_fine(value: object) -> bool:
    level: list[object] = [value]
    for _ in range(_DEPTH_LIMIT):
        level = [inner for each in level for inner in _inner(each)]
        if not level:
            return True
    return False


def _inner(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from cast("dict[str, object]", value).values()
    elif isinstance(value, list):
        yield from cast("list[object]", value)


def _readable_header(payload: bytes) -> bytes:
    """Return the header of the same message with all properties that can be decoded."""
    size, flags, data = int.from_bytes(payload[4:12]), int.from_bytes(payload[12:14]), payload[14:]
    found: dict[str, Any] = {}
    for name, read in _PROPERTIES:
        if not flags & Basic.Properties.flags[name]:
            continue
        length = _length(data, read)
        value = read(data[:length])
        if value is not None:
            found[name] = value
        data = data[length:]
    return ContentHeader(body_size=size, properties=Basic.Properties(**found)).marshal()


def _length(data: bytes, read: Callable[[bytes], Any]) -> int:
    if read is _table:
        return 4 + int.from_bytes(data[:4])
    return 1 + data[0] if read is _text else 8 if read is _time else 1


def _text(data: bytes) -> str:
    """Return a text; what is not UTF-8 is written as `\\xff`, and as a digest where that is too long.

    Two different message ids must not become one.
    """
    text = data[1:].decode(errors="backslashreplace")
    return text if len(text.encode()) <= _TEXT_LIMIT else sha256(data[1:]).hexdigest()


def _octet(data: bytes) -> int:
    return data[0]


def _time(data: bytes) -> Any:
    try:
        return decode.timestamp(data)[1]
    except Exception:  # noqa: BLE001  a time that is none is no time
        return None


def _table(data: bytes) -> dict[str, Any]:
    try:
        table = decode.field_table(data)[1]
    except Exception as error:  # noqa: BLE001  a text of this module says why
        return _unreadable(data, f"the headers cannot be decoded ({type(error).__name__})")
    if not _depth_is_fine(table):
        return _unreadable(data, f"the headers are nested deeper than {_DEPTH_LIMIT} levels")
    return cast("dict[str, Any]", table)


def _unreadable(data: bytes, why: str) -> dict[str, Any]:
    raw = {RAW: bytearray(data)} if len(data) <= _RAW_LIMIT else {}
    return {UNREADABLE: why, **raw}


_PROPERTIES: tuple[tuple[str, Callable[[bytes], Any]], ...] = (
    ("content_type", _text),
    ("content_encoding", _text),
    ("headers", _table),
    ("delivery_mode", _octet),
    ("priority", _octet),
    ("correlation_id", _text),
    ("reply_to", _text),
    ("expiration", _text),
    ("message_id", _text),
    ("timestamp", _time),
    ("message_type", _text),
    ("user_id", _text),
    ("app_id", _text),
    ("cluster_id", _text),
)
"""In the order of the protocol."""


def _readable_delivery(payload: bytes) -> bytes:
    """Return a Deliver or GetOk whose exchange and routing key can be decoded."""
    begin = 4 + (1 + payload[4] if payload[:4] == _DELIVER else 0) + _TAGS
    end = len(payload) - (4 if payload[:4] == _GET_OK else 0)
    names = payload[begin:end]
    if names.isascii():
        return payload
    exchange, key = names[: 1 + names[0]], names[1 + names[0] :]
    return payload[:begin] + _short(exchange) + _short(key) + payload[end:]


def _short(data: bytes) -> bytes:
    text = _text(data).encode()
    return bytes([len(text)]) + text
