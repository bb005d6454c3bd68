"""Fast path of redaction for records of common shapes and sizes.

In these, names alone decide; most records are of this kind. Every other record is left to the full redaction, which gives the
same result for these.
"""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

from faregate.core.redaction.secret_names import Secrecy
from faregate.core.redaction.secret_values import REDACTED

__all__ = [
    "CARD_FROM",
    "JSON_STARTS",
    "PAIR_NAMES",
    "PAIR_VALUES",
    "SHORTEST_SECRET",
    "FastPath",
    "NotPlainError",
    "text_under",
]

SHORTEST_SECRET = 5
CARD_FROM = 10**12
"""Larger integers may be card numbers."""

JSON_STARTS = frozenset('{[" \n\r\t\ufeff')


def _spellings(*words: str) -> frozenset[str]:
    return frozenset(spelt for word in words for spelt in (word, word.capitalize(), word.upper()))


_DEPTH_LIMIT = 16
_ENTRIES_LIMIT = 1_000
PAIR_NAMES = _spellings("name", "key", "header", "field", "param", "parameter", "k", "n")
PAIR_VALUES = _spellings("value", "val", "v")
"""Keys of objects that hold a name and its value: `{"name": "password", "value": "…"}`, `{"Key": "…", "Value": "…"}`."""


class NotPlainError(Exception):
    """The record needs the full redaction."""


class FastPath:
    """One pass over one record: a copy by the rules for names, and the texts whose content is still to be checked.

    Args:
        secrecy_of_plain: returns the secrecy of a name; raises `NotPlainError` for a name that cannot be kept unchanged.
    """

    __slots__ = ("_secrecy", "_text_limit", "texts")

    def __init__(self, secrecy_of_plain: Callable[[str], Secrecy], text_limit: int) -> None:
        self._secrecy = secrecy_of_plain
        self._text_limit = text_limit
        self.texts: list[str] = []

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return the copy of a value under a name that is not secret, or raise `NotPlainError`."""
        kind = cast("type[Any]", type(value))
        if kind is str:
            return self._text(value)
        if kind is dict:
            return self._mapping(value, depth)
        if kind is list:
            return self._sequence(value, depth)
        if value is None or kind is bool:
            return value
        return _number(value, kind)

    def _text(self, text: str) -> str:
        if len(text) >= SHORTEST_SECRET:
            if text[0] in JSON_STARTS or len(text) > self._text_limit:
                raise NotPlainError
            self.texts.append(text)
        return text

    def _mapping(self, mapping: dict[Any, Any], depth: int) -> dict[str, Any]:
        named = not PAIR_VALUES.isdisjoint(mapping)
        if depth >= _DEPTH_LIMIT or len(mapping) > _ENTRIES_LIMIT or named:
            raise NotPlainError
        secrecy = self._secrecy
        kept: dict[str, Any] = {}
        for name, item in mapping.items():
            if type(name) is not str:
                raise NotPlainError
            secret = secrecy(name)
            if secret:
                kept[name] = _under(item, secret)
            else:
                kept[name] = self._text(item) if type(item) is str else self.value(item, depth + 1)
        return kept

    def _sequence(self, items: list[Any], depth: int) -> list[Any]:
        if depth >= _DEPTH_LIMIT or len(items) > _ENTRIES_LIMIT:
            raise NotPlainError
        if len(items) == 2 and type(items[0]) is str and self._secrecy(items[0]):
            raise NotPlainError
        return [self.value(item, depth + 1) for item in items]


def text_under(text: str, secret: Secrecy) -> str:
    """Return what of a text may be kept under the name of a secret; short digits may be a count."""
    if not text or (secret is Secrecy.TEXT and len(text) <= 9 and text.isdigit()):
        return text
    return REDACTED


def _under(value: Any, secret: Secrecy) -> Any:
    kind = cast("type[Any]", type(value))
    if kind is str:
        return text_under(value, secret)
    if value is None or kind is bool:
        return value
    if secret is Secrecy.TEXT:
        return _number(value, kind)
    raise NotPlainError


def _number(value: Any, kind: type[Any]) -> Any:
    if kind is int and value <= CARD_FROM:
        return value
    if ((kind is float and math.isfinite(value)) or (kind is Decimal and value.is_finite())) and value <= CARD_FROM:
        return value
    raise NotPlainError
