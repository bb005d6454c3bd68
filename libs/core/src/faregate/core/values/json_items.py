"""JSON parser that refuses invalid array items one by one. Pure.

A number, key, depth or character that is not allowed makes its item unreadable, not the array: the end of the item is found by
its brackets. Only a text that is not JSON at all is refused as a whole.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, cast

from faregate.core.errors import InvalidError, MalformedError
from faregate.wire import exact_json
from faregate.wire.exact_json import DEPTH_LIMIT

__all__ = ["ITEMS_LIMIT", "Unreadable", "load_items"]

ITEMS_LIMIT = 1000

_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""A string, closed or not, or a bracket; the expression never backtracks, so that the time is linear in the text."""
_SCALAR = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[^,\]\s]+', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An item that cannot be read: the reason, and its original text."""

    error: MalformedError
    text: bytes


def load_items(data: bytes, *, mend: bool = False) -> Any:
    """Parse one JSON text like `exact_json.loads`; items of an array that cannot be read are replaced by `Unreadable`.

    Bytes that are not UTF-8 make a text unreadable, as NUL does. `mend` is that of `exact_json.loads`.

    Raises:
        MalformedError: not JSON, or unreadable and not an array.
        InvalidError: an array of more than 1,000 items, one of them unreadable.
    """
    try:
        return exact_json.loads(data, mend=mend)
    except MalformedError as error:
        text = data.decode(errors="surrogateescape").removeprefix("\ufeff")
        start = _after_space(text, 0)
        if text[start : start + 1] != "[":
            raise
        return _items(text, start + 1, error, mend=mend)


def _items(text: str, at: int, problem: MalformedError, *, mend: bool) -> list[Any]:
    """Return the items of the array that begins before `at`; `problem` is what is wrong with the whole."""
    items: list[Any] = []
    while True:
        at = _after_space(text, at)
        item, at = _item(text, at, problem, mend=mend)
        items.append(item)
        if len(items) > ITEMS_LIMIT:
            raise InvalidError(f"an array of more than {ITEMS_LIMIT} items; send it in parts")
        at = _after_space(text, at)
        if text[at : at + 1] == "]" and not text[_after_space(text, at + 1) :]:
            return items
        if text[at : at + 1] != ",":
            raise problem
        at += 1


def _item(text: str, at: int, problem: MalformedError, *, mend: bool) -> tuple[Any, int]:
    """Return the item at `at`, or why it cannot be read, and its end."""
    try:
        value, end = cast("tuple[Any, int]", exact_json.reader.scan_once(text, at))  # type: ignore[attr-defined]
    except MalformedError as error:
        return _unreadable(text, at, error, problem)
    except RecursionError:
        return _unreadable(
            text, at, MalformedError(f"nested deeper than {DEPTH_LIMIT} levels; send it flatter"), problem
        )
    except json.JSONDecodeError as error:
        if not error.msg.startswith("Invalid control character"):
            raise problem from None
        return _unreadable(text, at, MalformedError("a text holds a control character; escape it"), problem)
    except StopIteration:
        raise problem from None
    try:
        return exact_json.checked(value, text[at:end], depth_limit=DEPTH_LIMIT - 1, mend=mend), end
    except MalformedError as error:
        return Unreadable(error, _bytes(text[at:end])), end


def _unreadable(text: str, at: int, error: MalformedError, problem: MalformedError) -> tuple[Unreadable, int]:
    end = _end(text, at, problem)
    return Unreadable(error, _bytes(text[at:end])), end


def _end(text: str, at: int, problem: MalformedError) -> int:
    """Return the end of the value at `at`, by its brackets alone."""
    if text[at] not in "{[":
        found = _SCALAR.match(text, at)
        return found.end() if found else at
    depth = 0
    for token in _TOKEN.finditer(text, at):
        if token[0] in {"{", "["}:
            depth += 1
        elif token[0] in {"}", "]"}:
            depth -= 1
            if depth == 0:
                return token.end()
    raise problem


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
