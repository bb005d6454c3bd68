"""Bodies and answers of `/api/views`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from faregate.core.values.fields import Body, Flag, Metadata, Note
from faregate.gateway.schemas.base import Answer

__all__ = ["ViewAnswer", "ViewBody", "ViewDeletedAnswer"]


class ViewBody(Body):
    """A view: `state` holds the parameters of the dashboard's address; `shared` shows it to everybody who may sign in."""

    name: Annotated[Note, Field(min_length=1, max_length=100, examples=["Spend by model"])]
    shared: Flag = False
    state: Annotated[Metadata, Field(examples=[{"page": "explore", "by": "model"}])]


class ViewAnswer(Answer):
    """A saved view; `own`: whether the caller may change it."""

    id: UUID
    name: str
    shared: bool
    own: bool
    state: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime


class ViewDeletedAnswer(Answer):
    """The id of the deleted view."""

    id: UUID
