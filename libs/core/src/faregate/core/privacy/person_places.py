"""JSON members that name a person. Pure.

A person is recognised by the member that holds the name, never by the text alone: a user id may be any word (`purchase`,
`gpt-4o`), so the same text elsewhere does not refer to the person.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, cast

__all__ = ["KEPT_TEXTS", "PLACES", "is_about", "without_mentions", "without_person"]

PLACES = frozenset(
    """
    user_id userId user users user_ids owner_id ownerId owner member members sub actor actor_user_id created_by deleted_by
    join leave email emails user_email
    """.split()  # noqa: SIM905  thirty quoted words are not easier to read
)
"""Members whose text, or list of texts, identifies a person."""

_USER_IDS = frozenset({"user_id", "userId"})
_FREE = frozenset({"metadata", "tags"})
"""Members that hold free data: any member within them may hold any text."""

KEPT_TEXTS = frozenset(
    """
    usage_key feature_endpoint_id feature_endpoint_value feature_key organization_id source ai_model model provider
    service_tier unit service meter kind status time country device code type
    """.split()  # noqa: SIM905
)
"""Members of a settlement or a usage event whose text decides what is counted; other texts are free."""

_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?")


def is_about(value: Any, names: frozenset[str]) -> bool:
    """Return whether one of `names` occurs anywhere in `value` in a member for people."""
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return any(
            (name in PLACES and _is_named(item, names)) or is_about(item, names) for name, item in members.items()
        )
    return isinstance(value, list) and any(is_about(item, names) for item in cast("list[Any]", value))


def without_person(item: Mapping[str, Any], names: frozenset[str], tombstone: str) -> dict[str, Any]:
    """Return a settlement or usage event that counts as before, for `tombstone`, without texts about the person.

    Numbers are kept, since prices may depend on them; of texts, those that decide what is counted. An id that contains the
    person's name is replaced by a digest, the same for the same id.
    """
    return {name: kept for name, value in item.items() if (kept := _kept(name, value, names, tombstone)) is not None}


def without_mentions(value: Any, pattern: re.Pattern[str], names: frozenset[str], instead: str) -> Any:
    """Return a value about others without the matches of `pattern` in its texts.

    Texts that decide what is counted are kept; so is a text that consists of a user id only, in a member that is not for people:
    a ticket or a model may have the same name.
    """
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return {
            name: part
            if name in KEPT_TEXTS and isinstance(part, str)
            else without_mentions(part, pattern, names, instead)
            for name, part in members.items()
        }
    if isinstance(value, list):
        return [without_mentions(part, pattern, names, instead) for part in cast("list[Any]", value)]
    if not isinstance(value, str) or (value in names and "@" not in value):
        return value
    return pattern.sub(instead, value)


def _kept(name: str, value: Any, names: frozenset[str], tombstone: str) -> Any:
    if name in _USER_IDS and (isinstance(value, str) or _is_named(value, names)):
        return tombstone if _is_named(value, names) else value
    if name in PLACES - _USER_IDS:
        return None
    if name in _FREE:
        return _numbers_of(value)
    if isinstance(value, str):
        return _kept_text(name, value, names, tombstone)
    if isinstance(value, Mapping):
        return without_person(cast("Mapping[str, Any]", value), names, tombstone)
    if isinstance(value, list):
        parts = [_kept(name, part, names, tombstone) for part in cast("list[Any]", value)]
        return [part for part in parts if part is not None]
    return value


def _kept_text(name: str, text: str, names: frozenset[str], tombstone: str) -> str | None:
    if name == "id":
        return f"{tombstone}:{sha256(text.encode()).hexdigest()[:16]}" if any(n in text for n in names) else text
    return text if name in KEPT_TEXTS or _NUMBER.fullmatch(text) else None


def _numbers_of(value: Any) -> Any:
    """Return a free value without its texts."""
    if isinstance(value, Mapping):
        members = cast("Mapping[str, Any]", value)
        return {name: kept for name, item in members.items() if (kept := _numbers_of(item)) is not None}
    if isinstance(value, list):
        return [kept for item in cast("list[Any]", value) if (kept := _numbers_of(item)) is not None]
    return None if isinstance(value, str) and not _NUMBER.fullmatch(value) else value


def _is_named(value: Any, names: frozenset[str]) -> bool:
    if isinstance(value, str):
        return value in names
    return isinstance(value, list) and any(isinstance(part, str) and part in names for part in cast("list[Any]", value))
