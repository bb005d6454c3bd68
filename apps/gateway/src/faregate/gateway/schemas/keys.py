"""Bodies and answers of `/api/keys`."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StrictInt

from faregate.core.access.key_store import ApiKey
from faregate.core.values.fields import AtMost, Body, Credits, Moment, Note, Text
from faregate.credit.services.spending_limits import SpendingLimit
from faregate.gateway.schemas.base import Answer
from faregate.gateway.security.auth import Scope

__all__ = ["KeyAnswer", "KeyBody", "NewKeyAnswer", "RotateBody", "SpendCapBody", "key_answer"]


class SpendCapBody(Body):
    """The limit on the credits that calls with the key may spend."""

    credits: Annotated[Credits, Field(gt=0)]
    period: Literal["day", "week", "month", "total"] = "month"


class KeyBody(Body):
    """`POST /api/keys`."""

    name: Annotated[Note, Field(min_length=1, max_length=200, examples=["billing service"])]
    scopes: Annotated[list[Scope], AtMost(50, least=1), Field(examples=[["credits:process", "wallets:read"]])]
    environment: Literal["live", "test"] = "live"
    expires_at: Moment | None = None
    allowed_ips: Annotated[list[Text], AtMost(100, least=1), Field(examples=[["203.0.113.0/24"]])] | None = Field(
        default=None, description="addresses and networks that the key may be used from; left out: any address"
    )
    spend_cap: SpendCapBody | None = None


class RotateBody(Body):
    """`POST /api/keys/{key_id}/rotate`."""

    overlap_seconds: Annotated[StrictInt, Field(ge=0, le=30 * 86_400)] = Field(
        default=86_400, description="how long the old key stays valid besides the new one"
    )


class SpendCapAnswer(Answer):
    """A spend cap and the amount used."""

    credits: Decimal | None
    period: str
    spent: Decimal
    held: Decimal


class KeyAnswer(Answer):
    """A key without its secret. `client` is the id of the first key of a line of rotations, whose keys share their spend caps.

    `minted_by` is the API key that made the client, if there is one. What a key spends counts against the caps of
    `minted_by`, too.
    """

    key_id: str
    client: str
    name: str
    environment: str
    scopes: list[str]
    allowed_ips: list[str] | None
    spend_caps: list[SpendCapAnswer]
    created_by: str
    minted_by: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewKeyAnswer(KeyAnswer):
    """A new key; only this answer holds it in full, and in a replayed answer it is null."""

    key: str | None = Field(examples=["fg_live_4fQZk2vN8sLx_…"])


def key_answer(key: ApiKey, caps: list[SpendingLimit]) -> KeyAnswer:
    """Return a key without its secret."""
    return KeyAnswer.of(
        key,
        scopes=list(key.scopes),
        allowed_ips=list(key.allowed_ips) if key.allowed_ips is not None else None,
        spend_caps=[SpendCapAnswer(credits=c.hard, period=c.period, spent=c.spent, held=c.held) for c in caps],
    )
