"""Base classes of answers and lists; cursors."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field

from faregate.core.errors import InvalidError, MalformedError
from faregate.core.values.fields import LooseBody
from faregate.core.values.moments import is_within_bounds
from faregate.wire import exact_json

__all__ = ["Answer", "PageQuery", "cursor_of", "position_of"]


_BIGINT_MAX = 2**63 - 1
_PART_LENGTH_MAX = 1000
"""The longest text of one part of a cursor."""


class Answer(BaseModel):
    """The `data` of an answer."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    @classmethod
    def of(cls, value: object, **others: Any) -> Self:
        """Return the answer with the fields of `value` that have the same names, and with `others`."""
        return cls(**{name: getattr(value, name) for name in cls.model_fields if name not in others}, **others)


class PageQuery(LooseBody):
    """The page of a list."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: str | None = None


def cursor_of(*position: Any) -> str:
    """Return an opaque cursor for this position in a list."""
    return base64.urlsafe_b64encode(exact_json.dumps(list(position))).decode().rstrip("=")


def position_of(cursor: str | None, *kinds: type[Any]) -> Sequence[Any] | None:
    """Return the position of `cursor`, as values of these types; None without a cursor.

    Raises:
        InvalidError: it is not a cursor of this list.
    """
    if cursor is None:
        return None
    try:
        values = exact_json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(values, list):
            raise TypeError("a cursor is a list")
        return [_part(kind, value) for kind, value in zip(kinds, cast("list[Any]", values), strict=True)]
    except (MalformedError, ValueError, TypeError):
        raise InvalidError(
            "cursor is not a cursor of this list; send the next_cursor of its last page", param="cursor"
        ) from None


def _part(kind: type[Any], value: Any) -> Any:
    """Return one part of a position, which must be valid in the database.

    Raises:
        ValueError, TypeError: it has another type, or is out of the range of the column.
    """
    if kind is int:
        if type(value) is not int or not 0 <= value <= _BIGINT_MAX:
            raise ValueError("not the number of a row")
        return value
    if not isinstance(value, str) or len(value) > _PART_LENGTH_MAX:
        raise TypeError("not a text")
    if kind is not datetime:
        return kind(value)
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None or not is_within_bounds(moment):
        raise ValueError("not the time of a row")
    return moment
