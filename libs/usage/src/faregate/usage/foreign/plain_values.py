"""Values of foreign events as the fields of ours. Pure.

Other systems send numbers as text, amounts as doubles and times as seconds; what cannot be read is refused by name.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, InvalidOperation
from math import isfinite
from typing import Any, cast

from faregate.core.errors import InvalidError

__all__ = ["amount", "moment", "name_of_service", "quantity", "text", "token_counts", "whole"]

_COST_PLACES = Decimal("1e-12")
_QUANTITY_PLACES = Decimal("1e-9")
_LARGEST = Decimal(10) ** 15
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?")
_OUTSIDE_NAMES = re.compile(r"[^A-Za-z0-9._:/@ -]")
_NAME_LENGTH = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253_402_300_799

_CODEX = {
    "input_token_count": "prompt_tokens",
    "output_token_count": "completion_tokens",
    "cached_token_count": "cached_tokens",
    "reasoning_token_count": "reasoning_tokens",
}
_CLAUDE_CODE = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_creation_tokens": "cache_creation_input_tokens",
}


def text(value: Any, param: str) -> str | None:
    """Return a name; whole numbers are names, too, since some systems number their customers."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidError(f"{param} must be a text, not {_kind(value)}", param=param)


def name_of_service(value: str) -> str:
    """Return a name of at most 100 allowed characters; others become underscores."""
    return _OUTSIDE_NAMES.sub("_", value)[:_NAME_LENGTH]


def quantity(value: Any, param: str = "quantity") -> Decimal:
    """Return a quantity; more than 9 decimal places, which doubles have, are rounded."""
    number = _number(value, param)
    return number if number == round(number, 9) else number.quantize(_QUANTITY_PLACES, ROUND_HALF_EVEN)


def amount(value: Any, param: str) -> Decimal:
    """Return a cost in USD; more than 12 decimal places, which doubles have, are rounded up."""
    number = _number(value, param)
    return number if number == round(number, 12) else number.quantize(_COST_PLACES, ROUND_CEILING)


def whole(value: Any, param: str) -> int:
    """Return a whole number from 0 to 10⁹, also where it was sent as text or as `5.0`."""
    number = _number(value, param)
    if number != number.to_integral_value() or number > 10**9:
        raise InvalidError(f"{param} must be a whole number from 0 to 1000000000", param=param)
    return int(number)


def moment(value: Any, param: str = "time") -> datetime:
    """Return a time: ISO 8601 with a zone, or seconds since 1970 (milliseconds and nanoseconds by their size)."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return _iso(value, param)
    seconds = _number(value, param)
    while seconds > _LAST_SECOND:
        seconds /= 1000
    return _EPOCH + timedelta(microseconds=int(seconds * 1_000_000))


def token_counts(value: Any) -> Mapping[str, Any]:
    """Return an object that may hold token counts: numbers in texts become numbers, and the names that Codex and Claude Code
    use become those of their providers, because the latter's cached tokens are not part of `input_tokens`.
    """
    if not isinstance(value, Mapping):
        return {}
    given = cast("Mapping[str, Any]", value)
    numbers = {name: int(v) if isinstance(v, str) and _is_count(v) else v for name, v in given.items()}
    if "input_token_count" in given:
        counts = {_CODEX[name]: numbers[name] for name in _CODEX if name in numbers}
        details = {"prompt_tokens_details": {"cached_tokens": counts.pop("cached_tokens", None)}}
        reasoning = {"completion_tokens_details": {"reasoning_tokens": counts.pop("reasoning_tokens", None)}}
        return {**counts, **details, **reasoning}
    if "cache_creation_tokens" in given or ("cache_read_tokens" in given and "input_tokens" in given):
        return {_CLAUDE_CODE[name]: numbers[name] for name in _CLAUDE_CODE if name in numbers}
    return numbers


def _is_count(value: str) -> bool:
    return len(value) <= 10 and value.isascii() and value.isdecimal()


def _iso(value: str, param: str) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidError(f"{param} must be a time such as 2026-01-31T12:00:00Z", param=param) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _number(value: Any, param: str) -> Decimal:
    number: Decimal | None = None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        number = Decimal(value)
    elif isinstance(value, int | Decimal | float) and not isinstance(value, bool) and isfinite(value):
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            number = None
    if number is None or not 0 <= number < _LARGEST * 10_000:
        raise InvalidError(f"{param} must be a number from 0", param=param)
    return number


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "an object" if isinstance(value, Mapping) else "an array" if isinstance(value, list) else "a number"
