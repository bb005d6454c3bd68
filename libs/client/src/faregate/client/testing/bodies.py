"""Validation of request bodies, as in the gateway."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

from faregate.client.replies.usage_lines import LINES_LIMIT
from faregate.client.testing.book import RefusedError
from faregate.client.testing.pricing import tokens_of
from faregate.wire.count_names import COUNT_NAMES, unknown_name
from faregate.wire.exact_json import mapping
from faregate.wire.ids import EXTERNAL_ID_PATTERN
from faregate.wire.provider_usage import COUNT_LIMIT

__all__ = ["check_ids", "check_start", "lines_in", "request_identity"]

_ID = re.compile(EXTERNAL_ID_PATTERN)
_NAMED = ("ai_model", "provider", "service_tier")
_LINE_FIELDS = frozenset({*_NAMED, "total_tokens", "reported_cost_usd", *COUNT_NAMES})
_WHOLE = frozenset({"total_tokens", *COUNT_NAMES})
_TTL_LIMIT_SECONDS = 86_400


def check_ids(body: Mapping[str, Any], *names: str) -> None:
    """Raise `RefusedError` for a missing or invalid id."""
    for name in names:
        value = body.get(name)
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise _invalid(name, "must be 1 to 255 characters of A-Z a-z 0-9 . _ : @ | + / = -")
    if str(body.get("user_id")).startswith("org:"):
        raise _invalid("user_id", "must not begin with 'org:'; that names an organisation")


def check_start(body: Mapping[str, Any]) -> None:
    """Raise `RefusedError` for an estimate or a lifetime that no hold can have."""
    ttl, credits = body.get("ttl_seconds"), body.get("estimated_credits")
    if ttl is not None and (type(ttl) is not int or not 1 <= ttl <= _TTL_LIMIT_SECONDS):
        raise _invalid("ttl_seconds", f"must be a whole number from 1 to {_TTL_LIMIT_SECONDS}")
    if credits is not None and (Decimal(credits) < 0 or round(Decimal(credits), 6) != credits):
        raise _invalid("estimated_credits", "must be at least 0 and have at most 6 decimal places")


def lines_in(body: Mapping[str, Any], name: str = "usages") -> Sequence[Mapping[str, Any]]:
    """Return the lines of a body.

    Raises:
        RefusedError: a line has no model, an unknown field or an invalid count; or there are too many lines.
    """
    lines = [mapping(line) for line in cast("Sequence[Any]", body.get(name) or ())]
    if len(lines) > LINES_LIMIT:
        raise _invalid(name, f"may hold {LINES_LIMIT} lines at most, not {len(lines)}")
    for number, line in enumerate(lines):
        _check_line(line, f"{name}.{number}")
    return lines


def request_identity(*parts: Any, lines: Sequence[Mapping[str, Any]]) -> object:
    """Return a value that is equal for equal requests; zeros and the order of lines do not matter."""
    facts = [
        (*(line.get(name) for name in _NAMED), sorted(tokens_of(line).items()), _plain(line.get("reported_cost_usd")))
        for line in lines
    ]
    return (*parts, sorted(map(repr, facts)))


def _plain(cost: Decimal | int | None) -> str | None:
    return None if cost is None else format(Decimal(cost).normalize(), "f")


def _check_line(line: Mapping[str, Any], place: str) -> None:
    if not isinstance(line.get("ai_model"), str) or not line["ai_model"]:
        raise _invalid(f"{place}.ai_model", "is required")
    for name, value in line.items():
        if name not in _LINE_FIELDS:
            raise _invalid(f"{place}.{name}", unknown_name(name, _LINE_FIELDS))
        if name == "reported_cost_usd":
            _check_cost(value, f"{place}.{name}")
        if name in _WHOLE and (type(value) is not int or not 0 <= value <= COUNT_LIMIT):
            raise _invalid(f"{place}.{name}", "must be a whole number from 0 to 10⁹")


def _check_cost(value: Any, place: str) -> None:
    if not isinstance(value, Decimal | int) or not 0 <= value < COUNT_LIMIT or round(Decimal(value), 12) != value:
        raise _invalid(place, "must be at least 0, below 10⁹, and have at most 12 decimal places")


def _invalid(param: str, problem: str) -> RefusedError:
    return RefusedError(422, "invalid", f"{param}: {problem}", {"param": param})
