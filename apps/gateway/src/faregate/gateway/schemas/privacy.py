"""Bodies and answers of `/api/privacy`."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, Field

from faregate.core.values.fields import Body, LooseBody, UserId
from faregate.gateway.schemas.base import Answer

__all__ = ["EraseBody", "ErasedAnswer", "ExportAnswer", "ExportQuery"]


class EraseBody(Body):
    """`POST /api/privacy/erase`. The field has another name in the code, so that no audit entry names the erased person."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    erased_name: UserId = Field(alias="user_id")


class ErasedAnswer(Answer):
    """The number of changed rows, by kind."""

    erased: Mapping[str, int]


class ExportQuery(LooseBody):
    """`GET /api/privacy/export`."""

    user_id: UserId


class ExportAnswer(Answer):
    """All data about a user, by kind."""

    user_id: str
    records: Mapping[str, Sequence[Mapping[str, Any]]]
