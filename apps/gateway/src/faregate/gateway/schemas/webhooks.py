"""Bodies and answers of `/api/webhooks`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StrictInt

from faregate.core.values.fields import AtMost, Body, Flag, Moment, Note, Text
from faregate.core.webhooks.endpoints import Endpoint, WebhookDelivery
from faregate.core.webhooks.outgoing_events import EventType
from faregate.gateway.schemas.base import Answer, PageQuery

__all__ = [
    "DeliveriesQuery",
    "DeliveryAnswer",
    "NewWebhookAnswer",
    "ReplayAnswer",
    "ReplayBody",
    "RotateSecretBody",
    "WebhookAnswer",
    "WebhookBody",
    "WebhookChangeBody",
    "delivery_answer",
    "new_webhook_answer",
    "webhook_answer",
]

_Events = Annotated[list[EventType], AtMost(50, least=1), Field(examples=[["credits.low"]])]
_Url = Annotated[Text, Field(min_length=1, examples=["https://93.184.215.14/hooks/faregate"])]


class WebhookBody(Body):
    """`POST /api/webhooks`. Without a secret, one is generated."""

    url: _Url
    events: _Events
    description: Note | None = None
    secret: Annotated[Text, Field(description="whsec_ and the base64 of 24 to 64 bytes")] | None = None


class WebhookChangeBody(Body):
    """`PUT /api/webhooks/{id}`: the whole endpoint except its secret."""

    url: _Url
    events: _Events
    description: Note | None = None
    enabled: Flag = True


class RotateSecretBody(Body):
    """`POST /api/webhooks/{id}/rotate`."""

    overlap_seconds: Annotated[StrictInt, Field(ge=0, le=30 * 86_400)] = Field(
        default=86_400, description="how long messages are signed with both secrets"
    )


class ReplayBody(Body):
    """`POST /api/webhooks/{id}/replay`: deliveries by id, or all since a moment."""

    ids: Annotated[list[UUID], AtMost(1000)] = Field(default_factory=list[UUID])
    since: Moment | None = Field(default=None, examples=["2026-01-31T12:00:00Z"])


class WebhookAnswer(Answer):
    """An endpoint without its secret."""

    id: str
    url: str
    events: list[str]
    description: str | None
    created_by: str
    created_at: datetime
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: str | None


class NewWebhookAnswer(WebhookAnswer):
    """An endpoint with its secret, which only this answer holds; in a replayed answer it is null."""

    secret: str | None


class AttemptAnswer(Answer):
    """One attempt, newest first."""

    at: str
    status: int | None
    error: str | None
    duration_ms: int


class DeliveryAnswer(Answer):
    """The delivery of one event."""

    id: str
    event_id: str
    event_type: str
    status: str
    attempts: int
    due_at: datetime | None
    history: list[AttemptAnswer]
    created_at: datetime


class ReplayAnswer(Answer):
    """The number of deliveries that will be sent again."""

    replayed: int


class DeliveriesQuery(PageQuery):
    """Filters of deliveries."""

    status: Literal["pending", "delivered", "failed"] | None = None


def webhook_answer(endpoint: Endpoint) -> WebhookAnswer:
    """Return an endpoint without its secret."""
    return WebhookAnswer.of(endpoint, id=str(endpoint.id), events=list(endpoint.events))


def new_webhook_answer(endpoint: Endpoint) -> NewWebhookAnswer:
    """Return an endpoint with its secret."""
    return NewWebhookAnswer(**dict(webhook_answer(endpoint)), secret=endpoint.secret)


def delivery_answer(delivery: WebhookDelivery) -> DeliveryAnswer:
    """Return a delivery."""
    return DeliveryAnswer.of(
        delivery,
        id=str(delivery.id),
        history=[
            AttemptAnswer(at=a.at, status=a.status, error=a.error, duration_ms=a.duration_ms) for a in delivery.history
        ],
    )
