"""Messages as they arrive in AMQP frames. Pure."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from pamqp.header import ContentHeader

from faregate.core.messaging.rabbitmq.frames import FLAGS, SECONDS_MAX, readable_header

__all__ = ["Assembly", "Received"]

_SIZE = slice(4, 12)
_FLAG_BYTES = slice(12, 14)
_PROPERTIES_AT = 14
_MORE_FLAGS = 1


class Received(NamedTuple):
    """One delivered message; `properties` are those that its publisher set, under pamqp's names."""

    tag: int
    redelivered: bool
    properties: dict[str, Any]
    body: bytes


class Assembly:
    """Puts the frames of one delivery together: the method, the header and the parts of the body.

    A method and a header that pamqp would need a dozen microseconds each for are read in two; properties of rare kinds are
    left to pamqp.
    """

    def __init__(self, deliver: bytes) -> None:
        """`deliver`: the payload of the Basic.Deliver frame."""
        at = 5 + deliver[4]  # class and method, then the consumer's tag as a short text
        self._tag = int.from_bytes(deliver[at : at + 8])
        self._redelivered = bool(deliver[at + 8] & 1)
        self._properties: dict[str, Any] = {}
        self._left = 0
        self._parts: list[bytes] = []

    def head(self, payload: bytes) -> Received | None:
        """Take the payload of the content header; return the message if it has no body."""
        self._left = int.from_bytes(payload[_SIZE])
        self._properties = properties_of(payload)
        return None if self._left else self._whole()

    def part(self, payload: bytes) -> Received | None:
        """Take a part of the body; return the message if it was the last one."""
        self._parts.append(payload)
        self._left -= len(payload)
        return None if self._left > 0 else self._whole()

    def _whole(self) -> Received:
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        return Received(self._tag, self._redelivered, self._properties, body)


def properties_of(payload: bytes) -> dict[str, Any]:
    """Return the properties of a content header; those that cannot be decoded are replaced, see `frames`."""
    try:
        plain = _plain_properties(payload)
    except (IndexError, UnicodeDecodeError):
        plain = None
    return _decoded(payload) if plain is None else plain


def _plain_properties(payload: bytes) -> dict[str, Any] | None:
    """Return the properties if they are ASCII texts, a valid time, octets and headers of ASCII texts, else None."""
    flags, at, found = int.from_bytes(payload[_FLAG_BYTES]), _PROPERTIES_AT, dict[str, Any]()
    if flags & _MORE_FLAGS:
        return None
    for name, kind in _named_by(flags):
        if kind == "text":
            end = at + 1 + payload[at]
            found[name] = payload[at + 1 : end].decode("ascii")
        elif kind == "table":
            end = at + 4 + int.from_bytes(payload[at : at + 4])
            table = _plain_table(payload[at + 4 : end])
            if table is None:
                return None
            found[name] = table
        elif kind == "time":
            end = at + 8
            seconds = int.from_bytes(payload[at:end])
            if seconds > SECONDS_MAX:
                return None
            found[name] = datetime.fromtimestamp(seconds, UTC)
        else:
            end = at + 1
            found[name] = payload[at]
        at = end
    return found if at == len(payload) else None


def _plain_table(data: bytes) -> dict[str, str] | None:
    """Return the headers if all are ASCII texts, else None."""
    at, end, found = 0, len(data), dict[str, str]()
    while at < end:
        name_end = at + 1 + data[at]
        if data[name_end] != _TEXT:
            return None
        value_at = name_end + 5
        value_end = value_at + int.from_bytes(data[name_end + 1 : value_at])
        found[data[at + 1 : name_end].decode("ascii")] = data[value_at:value_end].decode("ascii")
        at = value_end
    return found if at == end else None


_TEXT = ord("S")


def _decoded(payload: bytes) -> dict[str, Any]:
    header = ContentHeader()
    header.unmarshal(readable_header(payload))
    found = {name: getattr(header.properties, name) for _, name, _ in FLAGS}
    return {name: value for name, value in found.items() if value is not None}


@lru_cache(maxsize=256)
def _named_by(flags: int) -> tuple[tuple[str, str], ...]:
    return tuple((name, kind) for flag, name, kind in FLAGS if flags & flag)
