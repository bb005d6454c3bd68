"""Patterns and statements that erase a person from others' texts.

They cover free text, JSON and keys. Text is less certain than a JSON member: a user may be called `chat`, and `chat` in a
description does not refer to that user. An id is searched in text only if it is unlikely to be a word, that is, if it has
letters and also digits or punctuation.
"""

import re
from urllib.parse import quote

from faregate.core.db.subjects import PERSON
from faregate.core.privacy.erased_keys import ERASED_KEY, key_without
from faregate.core.privacy.person_places import KEPT_TEXTS, PLACES
from faregate.wire import exact_json

__all__ = [
    "GONE",
    "json_erasure",
    "json_names",
    "json_without",
    "key_erasure",
    "patterns",
    "words_erasure",
]

GONE = "[erased]"
"""Replacement of a person's name in text."""

_TELLING = 4
"""Shorter ids occur in any sentence (`1 credit too many`); in others' texts they are recognised after `user:` only."""

_TALE = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9._:@|+/=-]).+")


def patterns(user_id: str, email: str | None) -> dict[str, str]:
    """Return PostgreSQL patterns for the person's names, by the name of the parameter of a statement.

    `mentions` finds whole words (`bela` is not in `bela-2`, nor `1` in `12`), `certain` the same without ids that may be any
    word, `in_json` the same without values that decide what is counted, `in_places` a name as the value of a JSON member for
    people, and `in_keys` a name as a part of a key.
    """
    sure = [f"{PERSON}{user_id}", *([email] if email else [])]
    certain = _spelled([*sure, *([user_id] if len(user_id) >= _TELLING and _TALE.fullmatch(user_id) else [])])
    mentioned = _spelled([*sure, *([user_id] if len(user_id) >= _TELLING else [])])
    kept = f'(?<!"(?:{"|".join(sorted(KEPT_TEXTS))})": ")'
    return {
        "mentions": _whole(mentioned),
        "certain": _whole(certain),
        "in_json": kept + _whole(certain),
        "in_places": _placed([user_id, *sure]),
        "in_keys": f"(?<![A-Za-z0-9])(?:{_any_of(certain)})(?![A-Za-z0-9])",
    }


def words_erasure(table: str, column: str, *, pattern: str = "mentions") -> str:
    """Return the statement that removes the person's names from a text column; it returns a row for each row changed."""
    return f"""
    update faregate.{table} set {column} = regexp_replace({column}, :{pattern}, '{GONE}', 'gi')
    where {column} ~* :{pattern} returning 1
    """  # noqa: S608


def json_without(column: str) -> str:
    """Return the expression of a `jsonb` column without the person's names; numbers and structure are kept."""
    placed = f"regexp_replace({column}::text, :in_places, '\"{GONE}\"', 'g')"
    return f"regexp_replace({placed}, :in_json, '{GONE}', 'gi')::jsonb"


def json_names(column: str) -> str:
    """Return the condition that a `jsonb` column names the person."""
    return f"({column}::text ~ :in_places or {column}::text ~* :in_json)"


def json_erasure(table: str, column: str) -> str:
    """Return the statement that removes the person's names from a `jsonb` column; it returns a row for each row changed."""
    return f"""
    update faregate.{table} set {column} = {json_without(column)} where {json_names(column)} returning 1
    """  # noqa: S608


def key_erasure(table: str, column: str, *, condition: str = "true") -> str:
    """Return the statement that replaces keys that name the person; a lookup of such a key must also look for its `erased_key`."""
    return f"""
    update faregate.{table} set {column} = {key_without(column)}
    where {column} ~* :in_keys and not starts_with({column}, '{ERASED_KEY}') and {condition} returning 1
    """  # noqa: S608


def _spelled(names: list[str]) -> list[str]:
    """Return names with their spellings in URLs, such as `auth0%7C123`; longer ones first, so that they are found as a whole."""
    encoded = [quote(name, safe=plain) for name in names for plain in ("", ":@", ":@/+=")]
    return sorted({*names, *encoded}, key=lambda name: (-len(name), name))


def _any_of(names: list[str]) -> str:
    return "|".join(map(re.escape, names))


def _whole(names: list[str]) -> str:
    return rf"(?<![A-Za-z0-9_@-])(?:{_any_of(names)})(?![A-Za-z0-9_@-])"


def _placed(names: list[str]) -> str:
    quoted = [exact_json.dumps(name).decode() for name in names]
    numbers = [name for name in names if name.isdecimal()]
    places = "|".join(sorted(PLACES))
    return rf'(?<="(?:{places})": (?:\[[^\]]*)?)(?:{_any_of([*quoted, *numbers])})(?=[,\]}}])'
