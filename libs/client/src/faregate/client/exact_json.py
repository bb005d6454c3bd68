"""JSON in and out without floats: credits are money."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

__all__ = ["dumps", "loads", "mapping"]


def loads(data: bytes | str) -> Any:
    """Parse JSON; numbers with a fraction or an exponent become `Decimal`.

    Raises:
        ValueError: not JSON, or not UTF-8.
    """
    return json.loads(data, parse_float=Decimal)


def dumps(value: Any) -> bytes:
    """Write compact UTF-8 JSON; `Decimal` in plain digits, aware `datetime` in UTC.

    Raises:
        TypeError: a type without a JSON form, or a naive datetime.
        ValueError: NaN or Infinity.
    """
    return _encode(value).encode()


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object as it is, anything else as an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _encode(value: Any) -> str:
    if isinstance(value, Decimal):
        return _encode_decimal(value)
    if isinstance(value, datetime):
        return _encode_time(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return (
            "{" + ",".join(f"{json.dumps(str(key), ensure_ascii=False)}:{_encode(item)}" for key, item in items) + "}"
        )
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return "[" + ",".join(map(_encode, cast("Sequence[Any]", value))) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _encode_decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is not a JSON number")
    return format(value, "f")


def _encode_time(value: datetime) -> str:
    if value.tzinfo is None:
        raise TypeError("a naive datetime has no place in JSON; attach a time zone")
    return json.dumps(value.astimezone(UTC).isoformat().replace("+00:00", "Z"))
