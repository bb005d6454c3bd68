"""PostgreSQL's binary COPY format. Pure.

A value is written as its length and its bytes, NULL as the length -1. Rows are encoded here instead of by the driver because
a row of integers takes one call of `struct`, and a name that many rows share is encoded once.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import repeat
from struct import Struct
from typing import cast

__all__ = [
    "NULL",
    "big",
    "copy_body",
    "integer",
    "integers",
    "jsonb",
    "micros",
    "moment_of",
    "numeric",
    "small",
    "text",
    "texts",
]

NULL = b"\xff\xff\xff\xff"
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NUMERIC_NEGATIVE = 0x4000
_FRACTION_DIGITS = 12
"""Decimal places of `numeric`, in groups of four digits as PostgreSQL stores them."""

_small, _integer, _big = (Struct(form).pack for form in ("!ih", "!ii", "!iq"))
_length = Struct("!i").pack
_numeric_head = Struct("!ihhHh").pack


def copy_body(rows: Iterable[bytes]) -> bytes:
    """Return the data that COPY reads; each row begins with its number of columns."""
    return b"".join((_HEADER, *rows, _TRAILER))


def micros(moment: datetime) -> int:
    """Return an aware moment as `timestamptz` stores it: microseconds since 2000."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment_of(value: int) -> datetime:
    """Return the moment of a value of `micros`."""
    return _EPOCH + value * _MICROSECOND


def small(value: int | None) -> bytes:
    """Return a `smallint`."""
    return NULL if value is None else _small(2, value)


def integer(value: int | None) -> bytes:
    """Return an `integer`."""
    return NULL if value is None else _integer(4, value)


def big(value: int | None) -> bytes:
    """Return a `bigint`."""
    return NULL if value is None else _big(8, value)


def text(value: str | None) -> bytes:
    """Return a `text`."""
    if value is None:
        return NULL
    raw = value.encode()
    return _length(len(raw)) + raw


def integers(values: Sequence[int | None]) -> Iterable[bytes]:
    """Return many values of `integer`."""
    return map(integer, values) if None in values else map(_integer, repeat(4), values)


def texts(values: Sequence[str | None]) -> tuple[Iterable[bytes], ...]:
    """Return many values of `text`, in one or two parts each, to be written one after the other."""
    if None in values:
        return (repeat(NULL, len(values)) if values.count(None) == len(values) else map(text, values),)
    raw = [*map(str.encode, cast("Sequence[str]", values))]
    return map(_length, map(len, raw)), raw


def jsonb(value: bytes | None) -> bytes:
    """Return JSON text as a `jsonb`."""
    return NULL if value is None else (len(value) + 1).to_bytes(4) + b"\x01" + value


def numeric(value: Decimal | int | None) -> bytes:
    """Return a `numeric` of at most 12 decimal places, exactly and with as many places as `value` has.

    Raises:
        ValueError: `value` has more than 12 decimal places.
    """
    if value is None:
        return NULL
    if isinstance(value, int) and 0 < value < 10_000:
        return _numeric_head(10, 1, 0, 0, 0) + value.to_bytes(2)
    over, under = value.as_integer_ratio()
    left, rest = divmod(abs(over) * 10**_FRACTION_DIGITS, under)
    if rest:
        raise ValueError(f"{value} has more than {_FRACTION_DIGITS} decimal places")
    groups: list[int] = []
    while left:
        left, group = divmod(left, 10_000)
        groups.append(group)
    weight = len(groups) - 1 - _FRACTION_DIGITS // 4
    digits = b"".join(group.to_bytes(2) for group in reversed(groups))
    places = max(0, -int(Decimal(value).as_tuple().exponent))
    sign = _NUMERIC_NEGATIVE if value < 0 else 0
    return _numeric_head(8 + len(digits), len(groups), weight, sign, min(places, _FRACTION_DIGITS)) + digits
