"""Repair of AMQP frames whose properties cannot be decoded.

pamqp raises on text that is not UTF-8, a time beyond year 9999 or a table nested too deeply, and aiormq then closes the
connection. The broker redelivers such a message immediately, so that a single one would block its queue. Properties that cannot
be decoded are replaced before aiormq reads the frame.
"""

import struct
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import cast

from pamqp import decode, encode
from pamqp.commands import Basic
from pamqp.header import ContentHeader

__all__ = ["DELIVER", "FLAGS", "HEADER", "METHOD", "SECONDS_MAX", "UNREADABLE", "readable_header", "repaired"]

UNREADABLE = "x-unreadable"
"""The header that says why the headers of a message were replaced; `RAW` holds the original bytes, if not too large."""
RAW = "x-raw-headers"

METHOD, HEADER = 1, 2
DELIVER, _GET_OK = b"\x00\x3c\x00\x3c", b"\x00\x3c\x00\x47"
_HEAD = 7
_TAGS = 9
"""Bytes of a delivery tag and the flag after it."""
_TEXT_LIMIT = 255
_DEPTH_LIMIT = 32
_RAW_LIMIT = 32 * 1024
SECONDS_MAX = 0xFFFF_FFFF
_ODD_TYPES = b"AFTD"


def repaired(frame: bytes) -> bytes:
    """Return `frame`, or a replacement that can be decoded and has the same channel and body size."""
    payload = frame[_HEAD:-1]
    if frame[0] == HEADER:
        return _framed(frame, readable_header(payload))
    if frame[0] == METHOD and payload[:4] in {DELIVER, _GET_OK}:
        return _framed(frame, _readable_delivery(payload))
    return frame


def _framed(frame: bytes, payload: bytes) -> bytes:
    return frame if payload == frame[_HEAD:-1] else frame[:3] + struct.pack(">I", len(payload)) + payload + frame[-1:]


def readable_header(payload: bytes) -> bytes:
    """Return the payload of a content header, or a replacement that can be decoded and has the same body size."""
    return payload if _is_plain(payload) or _can_be_decoded(payload) else _repaired_header(payload)


def _is_plain(payload: bytes) -> bool:
    """Return whether all properties are of the common kinds, without decoding them.

    Common means: ASCII throughout, a valid time, and a table without the type letters of nested tables, decimals or times.
    """
    flags, at = int.from_bytes(payload[12:14]), 14
    for flag, _, kind in FLAGS:
        if not flags & flag:
            continue
        end = at + _length(payload[at : at + 4], kind)
        value = payload[at:end]
        if kind == "time":
            if int.from_bytes(value) > SECONDS_MAX:
                return False
        elif not value.isascii() or (kind == "table" and any(letter in value for letter in _ODD_TYPES)):
            return False
        at = end
    return at == len(payload) and not flags & 1


def _can_be_decoded(payload: bytes) -> bool:
    header = ContentHeader()
    try:
        header.unmarshal(payload)
    except Exception:  # noqa: BLE001  any error of pamqp here would otherwise end the task that reads for all channels
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


def _repaired_header(payload: bytes) -> bytes:
    """Return the header of the same message with only the properties that can be decoded."""
    flags, data = int.from_bytes(payload[12:14]), payload[14:]
    kept: list[bytes] = []
    for name, kind in _PROPERTIES:
        flag = Basic.Properties.flags[name]
        if not flags & flag:
            continue
        length = _length(data, kind)
        value = _READABLE[kind](data[:length])
        if value is None:
            flags &= ~flag
        else:
            kept.append(value)
        data = data[length:]
    return payload[:12] + flags.to_bytes(2) + b"".join(kept)


def _length(data: bytes, kind: str) -> int:
    if kind == "table":
        return 4 + int.from_bytes(data[:4])
    return 1 + data[0] if kind == "text" else 8 if kind == "time" else 1


def _text(data: bytes) -> bytes:
    """Return a text; bytes that are not UTF-8 are written as `\xff`, and as a digest if that is too long.

    Two different message ids must not become equal.
    """
    text = data[1:].decode(errors="backslashreplace").encode()
    short = text if len(text) <= _TEXT_LIMIT else sha256(data[1:]).hexdigest().encode()
    return bytes([len(short)]) + short


def _octet(data: bytes) -> bytes:
    return data


def _time(data: bytes) -> bytes | None:
    try:
        decode.timestamp(data)
    except Exception:  # noqa: BLE001  an invalid time is left out
        return None
    return data


def _table(data: bytes) -> bytes:
    try:
        _, table = decode.field_table(data)
    except Exception as error:  # noqa: BLE001  the error text of this module says why
        return _unreadable(data, f"the headers cannot be decoded ({type(error).__name__})")
    return (
        data
        if _depth_is_fine(table)
        else _unreadable(data, f"the headers are nested deeper than {_DEPTH_LIMIT} levels")
    )


def _unreadable(data: bytes, why: str) -> bytes:
    raw = {RAW: bytearray(data)} if len(data) <= _RAW_LIMIT else {}
    return encode.field_table({UNREADABLE: why, **raw})


_READABLE: dict[str, Callable[[bytes], bytes | None]] = {"text": _text, "octet": _octet, "time": _time, "table": _table}
_PROPERTIES = (
    ("content_type", "text"),
    ("content_encoding", "text"),
    ("headers", "table"),
    ("delivery_mode", "octet"),
    ("priority", "octet"),
    ("correlation_id", "text"),
    ("reply_to", "text"),
    ("expiration", "text"),
    ("message_id", "text"),
    ("timestamp", "time"),
    ("message_type", "text"),
    ("user_id", "text"),
    ("app_id", "text"),
    ("cluster_id", "text"),
)
"""In the order of the protocol."""
FLAGS = tuple((Basic.Properties.flags[name], name, kind) for name, kind in _PROPERTIES)


def _readable_delivery(payload: bytes) -> bytes:
    """Return a Deliver or GetOk whose exchange and routing key can be decoded."""
    begin = 4 + (1 + payload[4] if payload[:4] == DELIVER else 0) + _TAGS
    end = len(payload) - (4 if payload[:4] == _GET_OK else 0)
    names = payload[begin:end]
    if names.isascii():
        return payload
    exchange, key = names[: 1 + names[0]], names[1 + names[0] :]
    return payload[:begin] + _text(exchange) + _text(key) + payload[end:]
