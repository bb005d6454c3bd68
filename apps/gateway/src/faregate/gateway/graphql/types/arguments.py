"""Arguments of fields, validated by the models of the HTTP calls."""

from typing import Any, TypeVar

from pydantic import BaseModel

from faregate.gateway.http.body import validate
from faregate.gateway.schemas.base import PageQuery

__all__ = ["page_of", "query_of"]

M = TypeVar("M", bound=BaseModel)


def query_of(model: type[M], /, **given: Any) -> M:
    """Return the query of the given arguments; those that are None are left out.

    Raises:
        InvalidError: a value is not accepted; the text names it.
    """
    found: M = validate(model, {name: value for name, value in given.items() if value is not None})
    return found


def page_of(limit: int, cursor: str | None) -> PageQuery:
    """Return the page that a list is asked for."""
    return query_of(PageQuery, limit=limit, cursor=cursor)
