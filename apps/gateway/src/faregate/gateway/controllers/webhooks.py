"""Controller of `/api/webhooks`: webhook endpoints and their deliveries."""

from datetime import datetime, timedelta
from uuid import UUID

from faregate.core.db.database import Database
from faregate.core.webhooks.egress import UnsafeUrlError
from faregate.core.webhooks.endpoints import EndpointSpec, UnknownWebhookError, WebhookStore
from faregate.gateway.http.operation import Call, Controller, Page, link, operation
from faregate.gateway.schemas.base import PageQuery, cursor_of, position_of
from faregate.gateway.schemas.webhooks import (
    DeliveriesQuery,
    DeliveryAnswer,
    NewWebhookAnswer,
    ReplayAnswer,
    ReplayBody,
    RotateSecretBody,
    WebhookAnswer,
    WebhookBody,
    WebhookChangeBody,
    delivery_answer,
    new_webhook_answer,
    webhook_answer,
)
from faregate.gateway.security.auth import Scope

__all__ = ["WebhooksController"]

_SCOPE = Scope.WEBHOOKS_ADMIN
_ID = {"id": "id"}
_UNKNOWN = (UnknownWebhookError,)


class WebhooksController(Controller):
    """Webhook endpoints over HTTP."""

    def __init__(self, database: Database, webhooks: WebhookStore) -> None:
        self._database = database
        self._webhooks = webhooks

    @operation(
        "POST",
        "/api/webhooks",
        scope=_SCOPE,
        answer=NewWebhookAnswer,
        status=201,
        shown_once=("secret",),
        errors=(UnsafeUrlError,),
        links={
            "read": link("webhooks.get_webhook", path=_ID),
            "change": link("webhooks.put_webhook", path=_ID),
            "rotate": link("webhooks.rotate_secret", path=_ID),
            "deliveries": link("webhooks.list_deliveries", path=_ID),
            "replay": link("webhooks.replay", path=_ID),
            "delete": link("webhooks.delete_webhook", path=_ID),
        },
        rehearsable=True,
    )
    async def create_webhook(self, call: Call, body: WebhookBody) -> NewWebhookAnswer:
        """Create an endpoint: events are sent to its address, signed by Standard Webhooks; only this answer holds the secret."""
        spec = EndpointSpec(body.url, body.events, body.description, body.secret)
        return new_webhook_answer(
            await self._database.run(lambda s: self._webhooks.create(s, spec, created_by=call.principal.id))
        )

    @operation(
        "GET",
        "/api/webhooks",
        scope=_SCOPE,
        answer=list[WebhookAnswer],
        links={"deliveries": link("webhooks.list_deliveries", path={"id": "0/id"})},
    )
    async def list_webhooks(self, query: PageQuery) -> Page:
        """List endpoints, newest first."""
        position = position_of(query.cursor, UUID)
        async with self._database.transaction(read_only=True) as session:
            found = await self._webhooks.endpoints(session, before=position[0] if position else None, limit=query.limit)
        cursor = cursor_of(found[-1].id) if len(found) == query.limit else None
        return Page([webhook_answer(endpoint) for endpoint in found], cursor)

    @operation("GET", "/api/webhooks/{id}", scope=_SCOPE, answer=WebhookAnswer, errors=_UNKNOWN)
    async def get_webhook(self, id: UUID) -> WebhookAnswer:  # noqa: A002  the name of the path parameter
        """Return one endpoint."""
        async with self._database.transaction(read_only=True) as session:
            return webhook_answer(await self._webhooks.get(session, id))

    @operation(
        "PUT",
        "/api/webhooks/{id}",
        scope=_SCOPE,
        answer=WebhookAnswer,
        errors=(UnknownWebhookError, UnsafeUrlError),
        rehearsable=True,
    )
    async def put_webhook(self, id: UUID, body: WebhookChangeBody) -> WebhookAnswer:  # noqa: A002
        """Change an endpoint; `enabled` enables or disables it."""
        spec = EndpointSpec(body.url, body.events, body.description)
        return webhook_answer(
            await self._database.run(lambda s: self._webhooks.change(s, id, spec, enabled=body.enabled))
        )

    @operation("DELETE", "/api/webhooks/{id}", scope=_SCOPE, answer=WebhookAnswer, errors=_UNKNOWN, rehearsable=True)
    async def delete_webhook(self, id: UUID) -> WebhookAnswer:  # noqa: A002
        """Delete an endpoint and its deliveries."""
        return webhook_answer(await self._database.run(lambda s: self._webhooks.delete(s, id)))

    @operation(
        "POST",
        "/api/webhooks/{id}/rotate",
        scope=_SCOPE,
        answer=NewWebhookAnswer,
        status=201,
        shown_once=("secret",),
        errors=_UNKNOWN,
        rehearsable=True,
    )
    async def rotate_secret(self, id: UUID, body: RotateSecretBody) -> NewWebhookAnswer:  # noqa: A002
        """Rotate the secret of an endpoint; for `overlap_seconds` messages are signed with both secrets."""
        overlap = timedelta(seconds=body.overlap_seconds)
        return new_webhook_answer(await self._database.run(lambda s: self._webhooks.rotate(s, id, overlap=overlap)))

    @operation("GET", "/api/webhooks/{id}/deliveries", scope=_SCOPE, answer=list[DeliveryAnswer], errors=_UNKNOWN)
    async def list_deliveries(self, id: UUID, query: DeliveriesQuery) -> Page:  # noqa: A002
        """List the deliveries of an endpoint, newest first, with every attempt."""
        position = position_of(query.cursor, datetime, UUID)
        async with self._database.transaction(read_only=True) as session:
            found = await self._webhooks.deliveries(
                session,
                id,
                status=query.status,
                before=(position[0], position[1]) if position else None,
                limit=query.limit,
            )
        cursor = cursor_of(found[-1].created_at, str(found[-1].id)) if len(found) == query.limit else None
        return Page([delivery_answer(delivery) for delivery in found], cursor)

    @operation(
        "POST",
        "/api/webhooks/{id}/replay",
        scope=_SCOPE,
        answer=ReplayAnswer,
        status=202,
        errors=_UNKNOWN,
        rehearsable=True,
    )
    async def replay(self, id: UUID, body: ReplayBody) -> ReplayAnswer:  # noqa: A002
        """Send deliveries again."""
        count = await self._database.run(lambda s: self._webhooks.replay(s, id, ids=body.ids, since=body.since))
        return ReplayAnswer(replayed=count)
