"""What all answers and lists share."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field

from faregate.core.errors import InvalidError, MalformedError
from faregate.core.fields import LooseBody
from faregate.core.values.moments import is_within_bounds
from faregate.wire import exact_json

__all__ = ["Answer", "PageQuery", "cursor_of", "position_of"]


_BIGINT_MAX = 2**63 - 1
_PART_LENGTH_MAX = 1000
"""Within these a moment stays one, whatever the time zone."""


class Answer(BaseModel):
    """The `data` of an answer."""

    model_config = ConfigDict(frozen=True)


class PageQuery(LooseBody):
    """How much of a list."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: str | None = None


def cursor_of(*position: Any) -> str:
    """Return an opaque cursor for this place in a list."""
    return base64.urlsafe_b64encode(exact_json.dumps(list(position))).decode().rstrip("=")


def position_of(cursor: str | None, *kinds: type[Any]) -> Sequence[Any] | None:
    """Return the place that `cursor` stands for, as values of these kinds; None for no cursor.

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
        raise InvalidError("cursor is not one that this list gave out", param="cursor") from None


def _part(kind: type[Any], value: Any) -> Any:
    """Return one part of a place, which must be as the database can take it.

    Raises:
        ValueError, TypeError: it is of another kind, or beyond what the column holds.
    """
    if kind is int:
        if type(value) is not int or not 0 <= value <= _BIGINT_MAX:
            raise ValueError("no number of a row")
        return value
    if not isinstance(value, str) or len(value) > _PART_LENGTH_MAX:
        raise TypeError("no text")
    if kind is not datetime:
        return kind(value)
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None or not is_within_bounds(moment):
        raise ValueError("no moment of a row")
    return moment
