"""Queries and answers of `/api/session`."""

from datetime import datetime

from faregate.core.values.fields import LooseBody
from faregate.gateway.schemas.base import Answer

__all__ = ["EndQuery", "EndedAnswer", "SessionAnswer"]


class EndQuery(LooseBody):
    """`everywhere`: end all sessions of the same person or key, not only this one."""

    everywhere: bool = False


class EndedAnswer(Answer):
    """How many sessions ended."""

    ended: int


class SessionAnswer(Answer):
    """The caller. `csrf_token` and `expires_at` are null without a session."""

    id: str
    user_id: str | None
    organization_id: str | None
    roles: list[str]
    scopes: list[str]
    csrf_token: str | None
    expires_at: datetime | None
