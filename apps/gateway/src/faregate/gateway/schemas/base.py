"""What all answers and lists share."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from faregate.core import exact_json
from faregate.core.errors import InvalidError, MalformedError
from faregate.core.fields import LooseBody

__all__ = ["Answer", "PageQuery", "cursor_of", "position_of"]


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
        return [
            datetime.fromisoformat(value) if kind is datetime else kind(value)
            for kind, value in zip(kinds, values, strict=True)
        ]
    except (binascii.Error, MalformedError, ValueError, TypeError):
        raise InvalidError("cursor is not one that this list gave out", param="cursor") from None
