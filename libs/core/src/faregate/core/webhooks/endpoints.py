"""Webhook endpoints: events, secrets and delivery log."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.versioned_cache import raise_version
from faregate.core.errors import InvalidError, NotFoundError
from faregate.core.privacy.key_ring import KeyRing
from faregate.core.webhooks import signing
from faregate.core.webhooks.egress import Egress
from faregate.core.webhooks.outgoing_events import SUBSCRIPTIONS_VERSION, EventType
from faregate.core.webhooks.sql import (
    ENDPOINT_ADD,
    ENDPOINT_CHANGE,
    ENDPOINT_DELETE,
    ENDPOINT_DELETE_DELIVERIES,
    ENDPOINT_DELIVERIES,
    ENDPOINT_GET,
    ENDPOINT_LIST,
    ENDPOINT_REPLAY,
    ENDPOINT_RESEAL,
    ENDPOINT_ROTATE,
    ENDPOINT_SECRETS,
)
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = [
    "Attempt",
    "Endpoint",
    "EndpointSpec",
    "UnknownWebhookError",
    "WebhookDelivery",
    "WebhookStore",
    "open_secret",
]


class UnknownWebhookError(NotFoundError):
    """No webhook endpoint has this id."""

    code = "unknown_webhook"

    def __init__(self, endpoint_id: object) -> None:
        super().__init__(f"There is no webhook {endpoint_id}; GET /api/webhooks lists them", param="id")


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """The address of an endpoint and the events to send to it."""

    url: str
    events: Sequence[EventType]
    description: str | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint; `secret` is for its owner only, and set only in the answer to the call that created it."""

    id: UUID
    url: str
    events: tuple[str, ...]
    description: str | None
    secret: str | None
    created_by: str
    created_at: datetime
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery attempt: the receiver's status, or why there was none."""

    at: str
    status: int | None
    error: str | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One event for one endpoint: `pending`, `delivered`, or `failed` when all attempts are used up."""

    id: UUID
    event_id: str
    event_type: str
    status: str
    attempts: int
    due_at: datetime | None
    history: tuple[Attempt, ...]
    created_at: datetime


class WebhookStore:
    """Reads and writes endpoints, in the caller's transaction."""

    def __init__(self, database: Database, egress: Egress, ring: KeyRing) -> None:
        self._database = database
        self._egress = egress
        self._ring = ring

    async def create(self, session: AsyncSession, spec: EndpointSpec, *, created_by: str) -> Endpoint:
        """Add an endpoint.

        Raises:
            UnsafeUrlError: its address is forbidden. InvalidError: the secret is not a valid signing secret.
        """
        await self._egress.target(spec.url)
        secret = signing.check_secret(spec.secret) if spec.secret else signing.new_secret()
        endpoint_id = new_uuid7()
        rows = await self._database.rows(
            session,
            ENDPOINT_ADD,
            endpoint_id=endpoint_id,
            url=spec.url,
            events=_types(spec.events),
            secret=self._ring.seal_text(_place(endpoint_id), secret),
            description=spec.description,
            created_by=created_by,
        )
        await raise_version(self._database, session, SUBSCRIPTIONS_VERSION)
        return replace(_endpoint(rows[0]), secret=secret)

    async def change(self, session: AsyncSession, endpoint_id: UUID, spec: EndpointSpec, *, enabled: bool) -> Endpoint:
        """Replace address, events and description; `enabled` enables a disabled one again. Raises as `create` does."""
        await self._egress.target(spec.url)
        rows = await self._database.rows(
            session,
            ENDPOINT_CHANGE,
            endpoint_id=endpoint_id,
            url=spec.url,
            events=_types(spec.events),
            description=spec.description,
            enabled=enabled,
        )
        return await self._changed(session, endpoint_id, rows)

    async def rotate(self, session: AsyncSession, endpoint_id: UUID, *, overlap: timedelta) -> Endpoint:
        """Generate a new secret; during `overlap` both sign."""
        secret = signing.new_secret()
        sealed = self._ring.seal_text(_place(endpoint_id), secret)
        rows = await self._database.rows(
            session, ENDPOINT_ROTATE, endpoint_id=endpoint_id, overlap=overlap, secret=sealed
        )
        return replace(await self._changed(session, endpoint_id, rows), secret=secret)

    async def reseal(self, session: AsyncSession) -> int:
        """Encrypt all secrets under the key in use, or store them in clear without one; return how many changed.

        Raises:
            SealedError: the key of a secret is no longer in the ring; nothing was changed.
        """
        old = [
            row
            for row in await self._database.rows(session, ENDPOINT_SECRETS)
            if not all(self._ring.is_current(text) for text in (row.secret, row.previous_secret) if text is not None)
        ]
        for row in old:
            secret, previous = (self._resealed(row.endpoint_id, text) for text in (row.secret, row.previous_secret))
            await self._database.rows(
                session, ENDPOINT_RESEAL, endpoint_id=row.endpoint_id, secret=secret, previous=previous
            )
        return len(old)

    def _resealed(self, endpoint_id: UUID, stored: str | None) -> str | None:
        if stored is None:
            return None
        return self._ring.seal_text(_place(endpoint_id), open_secret(self._ring, endpoint_id, stored))

    async def delete(self, session: AsyncSession, endpoint_id: UUID) -> Endpoint:
        """Delete an endpoint and its pending deliveries."""
        await self._database.rows(session, ENDPOINT_DELETE_DELIVERIES, endpoint_id=endpoint_id)
        rows = await self._database.rows(session, ENDPOINT_DELETE, endpoint_id=endpoint_id)
        return await self._changed(session, endpoint_id, rows)

    async def get(self, session: AsyncSession, endpoint_id: UUID) -> Endpoint:
        """Return an endpoint, or raise `UnknownWebhookError`."""
        rows = await self._database.rows(session, ENDPOINT_GET, endpoint_id=endpoint_id)
        if not rows:
            raise UnknownWebhookError(endpoint_id)
        return _endpoint(rows[0])

    async def endpoints(self, session: AsyncSession, *, before: UUID | None = None, limit: int = 100) -> list[Endpoint]:
        """Return endpoints, newest first."""
        return [_endpoint(row) for row in await self._database.rows(session, ENDPOINT_LIST, before=before, limit=limit)]

    async def deliveries(
        self,
        session: AsyncSession,
        endpoint_id: UUID,
        *,
        status: str | None = None,
        before: tuple[datetime, UUID] | None = None,
        limit: int = 100,
    ) -> list[WebhookDelivery]:
        """Return the delivery log of an endpoint, newest first."""
        await self.get(session, endpoint_id)
        moment, delivery_id = before or (None, None)
        rows = await self._database.rows(
            session,
            ENDPOINT_DELIVERIES,
            endpoint_id=endpoint_id,
            status=status,
            before=moment,
            before_id=delivery_id,
            limit=limit,
        )
        return [_delivery(row) for row in rows]

    async def replay(
        self, session: AsyncSession, endpoint_id: UUID, *, ids: Sequence[UUID] = (), since: datetime | None = None
    ) -> int:
        """Send deliveries again, those named and those since a moment; return how many. Pending ones are unchanged."""
        if not ids and since is None:
            raise InvalidError("give ids, since or both", param="ids")
        await self.get(session, endpoint_id)
        return len(
            await self._database.rows(session, ENDPOINT_REPLAY, endpoint_id=endpoint_id, ids=list(ids), since=since)
        )

    async def _changed(self, session: AsyncSession, endpoint_id: UUID, rows: Sequence[Any]) -> Endpoint:
        if not rows:
            raise UnknownWebhookError(endpoint_id)
        await raise_version(self._database, session, SUBSCRIPTIONS_VERSION)
        return _endpoint(rows[0])


def open_secret(ring: KeyRing, endpoint_id: UUID, stored: str) -> str:
    """Return the decrypted secret of an endpoint from its row; raises as `KeyRing.open_text` does."""
    return ring.open_text(_place(endpoint_id), stored)


def _place(endpoint_id: UUID) -> str:
    return f"webhook_endpoint|secret|{endpoint_id.hex}"


def _types(events: Sequence[EventType]) -> list[str]:
    return sorted({event.value for event in events})


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        row.endpoint_id,
        row.url,
        tuple(row.events),
        row.description,
        None,
        row.created_by,
        row.created_at,
        row.failing_since,
        row.disabled_at,
        row.disabled_reason,
    )


def _delivery(row: Any) -> WebhookDelivery:
    history = tuple(Attempt(**attempt) for attempt in exact_json.loads(row.history))
    return WebhookDelivery(
        row.delivery_id,
        row.event_id,
        row.event_type,
        row.status,
        row.attempts,
        row.due_at,
        history,
        row.created_at,
    )
