"""Queries and answers of `/api/session`."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from faregate.core.values.fields import Body, LooseBody
from faregate.gateway.schemas.base import Answer

__all__ = ["EndQuery", "EndedAnswer", "SessionAnswer", "SignInLinkAnswer", "SignInLinkBody"]


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


class SignInLinkBody(Body):
    """How long the link can be followed."""

    expires_in_seconds: Annotated[int, Field(ge=30, le=3600, strict=True)] = 300


class SignInLinkAnswer(Answer):
    """A link that opens one session of the dashboard; it is shown once."""

    url: str | None
    expires_at: datetime
