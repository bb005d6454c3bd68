"""Redaction of records: secrets replaced, sizes bounded.

Works on JSON-like values of any shape and never raises; values of unknown types are left out. Phone numbers, names, and secrets
without a recognisable name or form are not found: data that must not be kept at all must not be sent.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache, cached_property, lru_cache
from typing import Any, Protocol, cast, runtime_checkable
from urllib.parse import quote, unquote_plus

from faregate.core.redaction.fast_path import (
    CARD_FROM,
    JSON_STARTS,
    PAIR_NAMES,
    PAIR_VALUES,
    SHORTEST_SECRET,
    FastPath,
    NotPlainError,
    text_under,
)
from faregate.core.redaction.secret_hints import Hints
from faregate.core.redaction.secret_names import Secrecy, secrecy_of
from faregate.core.redaction.secret_values import REDACTED, SecretPattern, built_in_patterns, is_card_number
from faregate.core.runtime.bounded_memory import bounded_cache

__all__ = ["REDACTED", "IRedactor", "Redactor", "holds_credential", "looks_like_credential"]

TOO_DEEP = "[too deep]"
CIRCULAR = "[circular]"
UNREADABLE = "[unreadable]"

_DEPTH_LIMIT = 32
_TEXT_LIMIT = 16_384
_ITEMS_LIMIT = 2_000
_MARGIN = 1_024
_SHORTEST_CREDENTIAL = 12
_NESTED_DEPTH = 4
_NAME_LIMIT = 64
_ENCODED = re.compile(r"""[^\s%"'<>&=]{0,200}(?:%(?!40)[0-9A-Fa-f]{2}[^\s%"'<>&=]*+|%40[^\s%"'<>&=]*+)+""")
_UNQUOTED = "[]:/?#,;@!$()*'~"
_NAME = re.compile(r"[A-Za-z][\w .-]{0,63}")


@runtime_checkable
class IRedactor(Protocol):
    """Redacts records; must not raise, and must change nothing when applied again."""

    def value(self, value: Any) -> Any:
        """Return a JSON-like copy of `value` that may be kept."""
        ...

    def text(self, text: str) -> str:
        """Return what of a text may be kept."""
        ...


class Redactor:
    """Redacts by names (at any depth, in headers, query strings and JSON inside strings) and by the form of values.

    `extra_patterns` add kinds of secret values; `secrecy` replaces the rule for names.
    """

    def __init__(
        self,
        *,
        with_emails: bool = True,
        extra_patterns: Iterable[SecretPattern] = (),
        secrecy: Callable[[str], Secrecy] = secrecy_of,
        text_limit: int = _TEXT_LIMIT,
    ) -> None:
        self._extra = tuple(extra_patterns)
        self._with_emails = with_emails
        self._secrecy = secrecy
        self._text_limit = text_limit
        self._secrecy_of_plain = lru_cache(maxsize=8_192)(self._secrecy_of_name)

    @cached_property
    def hints(self) -> Hints:
        """The hints of all patterns of secret values."""
        encoded = SecretPattern("encoded", ("%",), _ENCODED, self._decoded)
        return Hints((encoded, *self._extra, *built_in_patterns(with_emails=self._with_emails)))

    def value(self, value: Any) -> Any:
        try:
            return self._by_fast_path(value)
        except NotPlainError:
            pass
        except Exception:  # noqa: BLE001  as below
            return UNREADABLE
        try:
            return _Redaction(self._secrecy, self.hints, self._text_limit).value(value)
        except Exception:  # noqa: BLE001  an object of the host that raises when read must not fail the host's request
            return UNREADABLE

    def text(self, text: str) -> str:
        try:
            return _Redaction(self._secrecy, self.hints, self._text_limit).text(text)
        except Exception:  # noqa: BLE001  as above
            return UNREADABLE

    def _decoded(self, found: re.Match[str]) -> str:
        """Return a percent-encoded text unchanged, unless it contains a secret once it is decoded."""
        decoded = unquote_plus(found[0])
        kept = self.text(decoded)
        return found[0] if kept == decoded else quote(kept, safe=_UNQUOTED)

    def _by_fast_path(self, value: Any) -> Any:
        """Return the copy of a record whose texts are all free of secrets; most are."""
        fast_path = FastPath(self._secrecy_of_plain, self._text_limit)
        kept = fast_path.value(value)
        if self.hints.candidates("\n".join(fast_path.texts)):
            raise NotPlainError
        return kept

    def _secrecy_of_name(self, name: str) -> Secrecy:
        """Return the secrecy of a name; the results are cached, because the same names occur repeatedly."""
        if len(name) > _NAME_LIMIT or self.text(name) != name:
            raise NotPlainError
        return self._secrecy(name)


class _Redaction:
    """One pass over one value."""

    def __init__(self, secrecy: Callable[[str], Secrecy], hints: Hints, text_limit: int) -> None:
        self._secrecy = secrecy
        self._hints = hints
        self._text_limit = text_limit
        self._path: set[int] = set()
        self._nested = 0

    def value(self, value: Any, *, secret: Secrecy = Secrecy.OPEN) -> Any:
        """Return a copy that may be kept; under a `secret` name texts (or everything) are replaced."""
        if isinstance(value, str):
            if not secret and len(value) < SHORTEST_SECRET:
                return value
            return text_under(value, secret) if secret else self.text(value)
        if value is None or isinstance(value, bool):
            return value
        if secret is Secrecy.ALL:
            return REDACTED
        if isinstance(value, int | float | Decimal):
            kept = self._number(value)
            return REDACTED if secret and isinstance(kept, str) else kept
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._guarded(cast("Any", value), secret)
        return REDACTED if secret else f"[{cast('type[Any]', type(value)).__name__}]"

    def text(self, text: str) -> str:
        """Return what of a text may be kept: JSON inside is redacted, and long texts are cut after redaction."""
        kept = text if len(text) <= self._text_limit else text[: self._text_limit + _MARGIN]
        if len(kept) >= SHORTEST_SECRET:
            kept = self._redacted(kept)
        if len(text) <= self._text_limit:
            return kept
        return f"{kept[: self._text_limit]}… [{len(text)} characters]" if not text.endswith(" characters]") else kept

    def _redacted(self, text: str) -> str:
        if text[0] in JSON_STARTS and text.lstrip()[:1] in {"{", "[", '"'}:
            inner = self._json_inside(text)
            if inner is not None:
                return inner
        for pattern in self._hints.candidates(text):
            text = pattern.expression.sub(pattern.replacement, text)
        return text

    def _json_inside(self, text: str) -> str | None:
        if self._nested >= _NESTED_DEPTH:
            return None
        try:
            content = json.loads(text, parse_float=Decimal, object_pairs_hook=_object)
        except (ValueError, RecursionError):
            return None
        if not isinstance(content, dict | list | str):
            return None
        self._nested += 1
        kept = self.value(content)
        self._nested -= 1
        return text if kept == content else json.dumps(kept, ensure_ascii=False, default=str)

    def _number(self, value: float | Decimal) -> Any:
        finite = value.is_finite() if isinstance(value, Decimal) else isinstance(value, int) or math.isfinite(value)
        if not finite:
            return None
        if CARD_FROM < value < 10**19 and value == int(value) and is_card_number(str(int(value))):
            return "[redacted:card]"
        return value

    def _guarded(self, value: Any, secret: Secrecy) -> Any:
        own = id(value)
        if len(self._path) >= _DEPTH_LIMIT:
            return REDACTED if secret else TOO_DEEP
        if own in self._path:
            return REDACTED if secret else CIRCULAR
        self._path.add(own)
        try:
            if isinstance(value, Mapping):
                return self._mapping(cast("Mapping[Any, Any]", value), secret)
            items: list[Any] = list(value)
            return self._sequence(items, secret)
        finally:
            self._path.discard(own)

    def _mapping(self, mapping: Mapping[Any, Any], secret: Secrecy) -> dict[str, Any]:
        named = self._named_pair(mapping)
        kept: dict[str, Any] = {}
        for number, (key, item) in enumerate(mapping.items()):
            if number >= _ITEMS_LIMIT:
                kept["…"] = f"[{len(mapping)} entries]"
                break
            name = key if isinstance(key, str) else _key_text(key)
            own = self._secrecy(name)
            if named and name in PAIR_VALUES:
                own = named
            kept[self._key(name)] = self.value(item, secret=max(secret, own))
        return kept

    def _sequence(self, items: list[Any], secret: Secrecy) -> list[Any]:
        if len(items) == 2 and isinstance(items[0], str) and _NAME.fullmatch(items[0]) and self._secrecy(items[0]):
            # a header as a pair; a text that only resembles its name is redacted like any text
            return [self.text(items[0]), self.value(items[1], secret=max(secret, self._secrecy(items[0])))]
        kept = [self.value(item, secret=secret) for item in items[:_ITEMS_LIMIT]]
        return kept if len(items) <= _ITEMS_LIMIT else [*kept, f"[{len(items)} items]"]

    def _named_pair(self, mapping: Mapping[Any, Any]) -> Secrecy:
        """Return the secrecy of the name in an object like `{"name": "authorization", "value": "…"}`."""
        if PAIR_VALUES.isdisjoint(mapping):
            return Secrecy.OPEN
        names = [name for key in PAIR_NAMES if isinstance(name := mapping.get(key), str)]
        return Secrecy.ALL if any(map(self._secrecy, names)) else Secrecy.OPEN

    def _key(self, name: str) -> str:
        """Redact a key that is itself a secret: `{"sk-…": 1}`."""
        return name if len(name) < 12 and "@" not in name else self.text(name)


@bounded_cache(entries=20_000, longest=512)
def looks_like_credential(text: str | None) -> bool:
    """Return whether a text that should be a name is a token or a key, which is never a valid id."""
    if text is None or len(text) < _SHORTEST_CREDENTIAL:
        return False
    return holds_credential(text)


def holds_credential(text: str) -> bool:
    """Return whether a text contains a token or a key."""
    return any(pattern.finds(text) for pattern in _credentials().candidates(text))


@cache
def _credentials() -> Hints:
    return Hints([pattern for pattern in built_in_patterns() if pattern.name in {"pem", "jwt", "bearer", "key"}])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; a repeated name keeps all its values, since any of them may be the secret."""
    whole = dict(pairs)
    if len(whole) == len(pairs):
        return whole
    return {name: [item for other, item in pairs if other == name] for name in whole}


def _key_text(key: Any) -> str:
    return str(key) if isinstance(key, int | float | bool) or key is None else f"[{type(key).__name__}]"
