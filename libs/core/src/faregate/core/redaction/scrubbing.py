"""Removal of secrets from callers' metadata, notes and names.

They may have been included by mistake. E-mail addresses and numbers are kept: here they are business data. Values that must stay
unchanged (a webhook's address, a strategy's parameters) are not passed through this module.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, cast

from faregate.core.redaction.key_formats import KEY_EXPRESSION, is_key
from faregate.core.redaction.records import Redactor
from faregate.core.redaction.secret_names import Secrecy, secrecy_of
from faregate.core.runtime.bounded_memory import bounded_cache
from faregate.wire import exact_json

__all__ = [
    "CREDENTIAL",
    "clean_metadata",
    "clean_text",
    "clean_value",
    "credentials_in",
    "is_credential",
    "name_checked",
]

CREDENTIAL = "looks like a credential; send the name, never a secret"

_TEXT_LIMIT = 1_000_000
_SHORTEST_CREDENTIAL = 12
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}|-----BEGIN")
_BEARER = re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/=:-]{6,}")


def clean_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata without texts that are secrets by name or form; numbers are kept, since prices may depend on them."""
    return {**_for_metadata().value(_as_json(metadata))}


def clean_value(value: Any) -> Any:
    """Return a JSON-like value without texts that are secrets by their form; everything else is unchanged."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {key: clean_value(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    return [clean_value(item) for item in cast("list[Any]", value)] if isinstance(value, list | tuple) else value


def clean_text(text: str) -> str:
    """Return a note without what is a secret by its form."""
    return _by_form().text(text)


@bounded_cache(entries=20_000, longest=512)
def is_credential(name: str) -> bool:
    """Return whether a text that should be a name is a token or a key, which is never a valid id."""
    if len(name) < _SHORTEST_CREDENTIAL:
        return False
    if _BEARER.search(name):
        return True
    return any(_TOKEN.match(word) or _is_key(word) for word in name.split())


def name_checked(name: str) -> str:
    """Return a name, or raise `ValueError` for a credential in its place; names cannot be redacted, since they are used for
    lookups.
    """
    if is_credential(name):
        raise ValueError(CREDENTIAL)
    return name


def credentials_in(names: Iterable[str]) -> set[str]:
    """Return those of `names` that are credentials; one search over all of them, since there is hardly ever one."""
    long = [name for name in names if len(name) >= _SHORTEST_CREDENTIAL]
    words = "\n".join(" ".join(long).split())
    if "bearer" not in words.casefold() and not _word_is_credential().search(words):
        return set()
    return {name for name in long if is_credential(name)}


def _as_json(value: Any) -> Any:
    """Return a host's Python value (ids, moments, enums) in its JSON form, the only one that redaction handles."""
    if value is None or isinstance(value, str | int | float | Decimal):
        return value
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in cast("list[Any]", value)]
    return exact_json.loads(exact_json.dumps(value))


def _texts_only(name: str) -> Secrecy:
    return min(secrecy_of(name), Secrecy.TEXT)


def _never_secret_by_name(_name: str) -> Secrecy:
    return Secrecy.OPEN


@cache
def _for_metadata() -> Redactor:
    return Redactor(with_emails=False, secrecy=_texts_only, text_limit=_TEXT_LIMIT)


@cache
def _by_form() -> Redactor:
    return Redactor(with_emails=False, secrecy=_never_secret_by_name, text_limit=_TEXT_LIMIT)


def _is_key(word: str) -> bool:
    found = _key_expression().match(word)
    return found is not None and is_key(found)


@cache
def _key_expression() -> re.Pattern[str]:
    return re.compile(KEY_EXPRESSION)


@cache
def _word_is_credential() -> re.Pattern[str]:
    return re.compile(rf"(?m)^(?:{_TOKEN.pattern}|{_key_expression().pattern})")
