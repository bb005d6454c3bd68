"""Personal data in answers, derived from their models."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Any, get_args

from pydantic import BaseModel

__all__ = ["Personal", "personal_in"]


class Personal(IntEnum):
    """The most sensitive data that an answer may hold; each level includes the ones before it."""

    NONE = 0
    """No data about a single person."""
    IDS = 1
    """Ids of people, with numbers, model names and times."""
    WORDS = 2
    """E-mail and network addresses, and texts and free fields that callers wrote."""
    BODIES = 3
    """What was sent to features and what they answered, or everything on a person."""


_BY_NAME = {
    **dict.fromkeys(("user_id", "owner_id", "actor_user_id", "actor", "created_by", "deleted_by"), Personal.IDS),
    **dict.fromkeys(("subject", "members", "users", "join", "leave", "voided_by", "access"), Personal.IDS),
    **dict.fromkeys(
        ("email", "emails", "user_email", "reason", "void_reason", "close_reason", "note", "history"), Personal.WORDS
    ),
    **dict.fromkeys(("metadata", "tags", "address", "description", "reference", "detail"), Personal.WORDS),
    **dict.fromkeys(("payload", "response", "params", "body", "records", "raw"), Personal.BODIES),
}
"""Members of answers by the level of what they may hold."""


def personal_in(*answers: Any) -> Personal:
    """Return the highest level of the members of these models, at any depth."""
    return max(
        (_BY_NAME.get(name, Personal.NONE) for answer in answers for name in _names(answer, set())),
        default=Personal.NONE,
    )


def _names(kind: Any, seen: set[Any]) -> Iterator[str]:
    for part in get_args(kind):
        yield from _names(part, seen)
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)) or kind in seen:
        return
    seen.add(kind)
    for name, field in kind.model_fields.items():
        yield name
        yield from _names(field.annotation, seen)
