"""Outgoing events, one delivery row per subscribed webhook endpoint.

They are written in the transaction whose change they report.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.clock import Deadline
from faregate.core.db.database import Database
from faregate.core.db.versioned_cache import VersionedCache
from faregate.core.errors import EngineUnavailableError
from faregate.core.webhooks.sql import EVENT_ADD, EVENT_SUBSCRIBED
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["SUBSCRIPTIONS_VERSION", "Announcer", "Event", "EventType", "IAnnouncer", "NullAnnouncer"]

SUBSCRIPTIONS_VERSION = "webhook_endpoints"
_KNOWN_FOR_SECONDS = 1.0


class EventType(StrEnum):
    """Types of events. The names are a public contract."""

    CREDITS_LOW = "credits.low"
    CREDITS_EXHAUSTED = "credits.exhausted"
    HOLD_EXPIRED = "hold.expired"
    SETTLEMENT_COMPLETED = "settlement.completed"
    SETTLEMENT_SHORTFALL = "settlement.shortfall"
    USAGE_ALERT = "usage.alert"
    PRICE_MISSING = "price.missing"
    TOP_UP_DECLINED = "top_up.declined"
    PAYMENT_REVERSED = "payment.reversed"


_ALL_TYPES = frozenset(kind.value for kind in EventType)


@dataclass(frozen=True, slots=True)
class Event:
    """An event to be sent.

    `people` are subjects by the field that names them (`user_id`, `owner_id`): their ids are filled in when the event is sent, so
    that no personal data waits in a queue.
    """

    type: EventType
    data: Mapping[str, Any]
    people: Mapping[str, int]


@runtime_checkable
class IAnnouncer(Protocol):
    """Sends events to subscribers."""

    async def announce(self, session: AsyncSession, events: Iterable[Event]) -> None:
        """Write the events so that they are sent exactly if the transaction commits.

        Without subscribers, `events` is not even read.
        """
        ...


class NullAnnouncer:
    """An announcer without subscribers: for hosts without webhooks."""

    async def announce(self, session: AsyncSession, events: Iterable[Event]) -> None:
        """Do nothing."""


class Announcer:
    """Writes a row of `webhook_delivery` per event and endpoint; events without subscribers cost nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscribed: VersionedCache[frozenset[str]] = VersionedCache(database, SUBSCRIPTIONS_VERSION, self._load)
        self._known = Deadline(0)
        self._refreshing: asyncio.Task[None] | None = None

    async def announce(self, session: AsyncSession, events: Iterable[Event]) -> None:
        types = self._wanted_types()
        wanted = [event for event in events if event.type.value in types] if types else ()
        if not wanted:
            return
        await self._database.rows(
            session,
            EVENT_ADD,
            ids=[f"evt_{new_uuid7().hex}" for _ in wanted],
            types=[event.type.value for event in wanted],
            payloads=[exact_json.dumps({"data": event.data, "people": event.people}) for event in wanted],
        )

    def _wanted_types(self) -> Collection[str]:
        """Return the event types that may have subscribers; if the cached list is too old, all types."""
        if self._known.passed:
            if self._refreshing is None or self._refreshing.done():
                self._refreshing = asyncio.create_task(self._refresh())
            return _ALL_TYPES
        return self._subscribed.last or ()

    async def _refresh(self) -> None:
        try:
            await self._subscribed.get()
        except EngineUnavailableError:
            return
        self._known = Deadline(_KNOWN_FOR_SECONDS)

    async def _load(self, session: AsyncSession) -> frozenset[str]:
        return frozenset(row.event for row in await self._database.rows(session, EVENT_SUBSCRIBED))
