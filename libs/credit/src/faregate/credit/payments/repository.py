"""Repository of purchases, the events of their payments, and saved payment methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.credit.payments import sql
from faregate.credit.payments.facts_json import facts_from, facts_json
from faregate.credit.payments.rules import PaymentFacts, join_all
from faregate.credit.payments.values import PaymentEvent, Purchase, RecordedEvent, SavedMethod
from faregate.wire import exact_json
from faregate.wire.credits import to_credits

__all__ = ["NewPurchase", "PurchaseRepository", "StoredPurchase"]

_CENTS = Decimal(100)


@dataclass(frozen=True, slots=True)
class NewPurchase:
    """A purchase to store: `credits` in micro-credits, `amount` in cents. `order_id`: the top-up order that it pays."""

    purchase_id: UUID
    wallet_id: int
    package: str | None
    credits: int
    amount: int
    order_id: UUID | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class StoredPurchase:
    """A purchase as it is stored, in micro-credits and cents."""

    purchase_id: UUID
    wallet_id: int
    package: str | None
    credits: int
    amount: int
    order_id: UUID | None
    status: str
    granted: int
    taken: int
    lost: int
    returned: int
    url: str | None
    failure: str | None
    created_at: datetime
    paid_at: datetime | None
    payment_intent: str | None

    @property
    def grant_key(self) -> str:
        """The key of the grant that it fills."""
        return f"payment:{self.purchase_id}" if self.order_id is None else f"top-up:{self.order_id}"

    def view(self, owner_id: str) -> Purchase:
        """Return it in credits and US dollars."""
        return Purchase(
            id=self.purchase_id,
            owner_id=owner_id,
            package=self.package,
            credits=to_credits(self.credits),
            amount_usd=Decimal(self.amount) / _CENTS,
            status=self.status,
            granted=to_credits(self.granted),
            taken=to_credits(self.taken),
            lost=to_credits(self.lost),
            automatic=self.order_id is not None,
            payment_intent=self.payment_intent,
            failure=self.failure,
            url=self.url,
            created_at=self.created_at,
            paid_at=self.paid_at,
        )


class PurchaseRepository:
    """Reads and writes purchases and their events in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, session: AsyncSession, new: NewPurchase) -> StoredPurchase:
        """Store a purchase, or return the one with its id or key that is there already."""
        await self._database.rows(
            session,
            sql.PURCHASE_ADD,
            purchase_id=new.purchase_id,
            wallet_id=new.wallet_id,
            package=new.package,
            credits=new.credits,
            amount=new.amount,
            order_id=new.order_id,
            key=new.key,
        )
        found = await self.get(session, new.purchase_id)
        if found is None:
            rows = await self._database.rows(session, sql.PURCHASE_BY_KEY, wallet_id=new.wallet_id, key=new.key)
            found = _purchase(rows[0])
        return found

    async def get(self, session: AsyncSession, purchase_id: UUID, *, lock: bool = False) -> StoredPurchase | None:
        """Return a purchase, locked if wanted."""
        if lock and not await self._database.rows(session, sql.PURCHASE_LOCK, purchase_id=purchase_id):
            return None
        rows = await self._database.rows(session, sql.PURCHASE_GET, purchase_id=purchase_id)
        return _purchase(rows[0]) if rows else None

    async def list(
        self,
        session: AsyncSession,
        *,
        owner_id: str | None,
        status: str | None,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Purchase]:
        """Return purchases, the newest first."""
        rows = await self._database.rows(
            session,
            sql.PURCHASE_LIST,
            owner_id=owner_id,
            status=status,
            before_at=before[0] if before else None,
            before_id=before[1] if before else None,
            limit=limit,
        )
        return [_purchase(row).view(row.external_id) for row in rows]

    async def opened(self, session: AsyncSession, purchase_id: UUID, *, session_id: str, url: str) -> None:
        """Store where the customer pays."""
        await self._database.rows(session, sql.PURCHASE_OPENED, purchase_id=purchase_id, session_id=session_id, url=url)

    async def settled(
        self,
        session: AsyncSession,
        purchase_id: UUID,
        *,
        status: str,
        granted: int,
        taken: int,
        lost: int,
        returned: int,
        failure: str | None,
    ) -> None:
        """Store what the payment has moved, and how many cents of it are returned; a failure that is None leaves the last one."""
        await self._database.rows(
            session,
            sql.PURCHASE_SETTLED,
            purchase_id=purchase_id,
            status=status,
            granted=granted,
            taken=taken,
            lost=lost,
            returned=returned,
            failure=failure,
        )

    async def add_event(self, session: AsyncSession, event: PaymentEvent) -> bool:
        """Store an event; return False if it is stored already."""
        rows = await self._database.rows(
            session,
            sql.EVENT_ADD,
            event_id=event.event_id,
            type=event.type,
            object_id=event.object_id,
            purchase_id=event.purchase_id,
            payment_intent=event.payment_intent,
            facts=exact_json.dumps(facts_json(event.facts)).decode(),
            occurred_at=event.occurred_at,
        )
        return bool(rows)

    async def lock_link(self, session: AsyncSession, payment_intent: str) -> UUID | None:
        """Lock one payment of Stripe, and return its purchase if that is known."""
        rows = await self._database.rows(session, sql.LINK_LOCK, payment_intent=payment_intent)
        found: UUID | None = rows[0].purchase_id
        return found

    async def link(self, session: AsyncSession, payment_intent: str, purchase_id: UUID) -> None:
        """Store the purchase of a payment, and give it the events that came before."""
        await self._database.rows(session, sql.LINK_SET, payment_intent=payment_intent, purchase_id=purchase_id)
        await self._database.rows(session, sql.EVENT_CLAIM, payment_intent=payment_intent, purchase_id=purchase_id)

    async def facts(self, session: AsyncSession, purchase_id: UUID) -> tuple[PaymentFacts, int]:
        """Return what all events of a purchase say together, and how many they are."""
        rows = await self._database.rows(session, sql.EVENT_FACTS, purchase_id=purchase_id)
        return join_all(facts_from(row.facts) for row in rows), len(rows)

    async def events(self, session: AsyncSession, purchase_id: UUID) -> Sequence[RecordedEvent]:
        """Return the events of a purchase in the order of their time."""
        return [_event(row) for row in await self._database.rows(session, sql.EVENT_LIST, purchase_id=purchase_id)]

    async def waiting_events(self, session: AsyncSession, *, limit: int) -> Sequence[RecordedEvent]:
        """Return the events whose purchase is not known, the latest first."""
        return [_event(row) for row in await self._database.rows(session, sql.EVENT_WAITING, limit=limit)]

    async def saved_method(self, session: AsyncSession, wallet_id: int) -> tuple[str | None, str | None]:
        """Return the customer and the saved payment method of an owner; None for what there is not."""
        rows = await self._database.rows(session, sql.CUSTOMER_GET, wallet_id=wallet_id)
        return (rows[0].customer, rows[0].method) if rows else (None, None)

    async def save_method(
        self, session: AsyncSession, wallet_id: int, saved: SavedMethod, *, saved_at: datetime
    ) -> None:
        """Store a payment method unless a later one is stored."""
        await self._database.rows(
            session,
            sql.CUSTOMER_SAVE,
            wallet_id=wallet_id,
            customer=saved.customer,
            method=saved.method,
            saved_at=saved_at,
        )

    async def forget_method(self, session: AsyncSession, wallet_id: int) -> str | None:
        """Forget the saved payment method, and return it; the customer stays known."""
        rows = await self._database.rows(session, sql.CUSTOMER_FORGET, wallet_id=wallet_id)
        found: str | None = rows[0].method if rows else None
        return found


def _purchase(row: Any) -> StoredPurchase:
    return StoredPurchase(
        purchase_id=_uuid(row.purchase_id),
        wallet_id=row.wallet_id,
        package=row.package,
        credits=row.credits,
        amount=row.amount,
        order_id=_uuid(row.order_id) if row.order_id is not None else None,
        status=row.status,
        granted=row.granted,
        taken=row.taken,
        lost=row.lost,
        returned=row.returned,
        url=row.url,
        failure=row.failure,
        created_at=row.created_at,
        paid_at=row.paid_at,
        payment_intent=row.payment_intent,
    )


def _event(row: Any) -> RecordedEvent:
    return RecordedEvent(
        event_id=row.event_id,
        type=row.type,
        object_id=row.object_id,
        purchase_id=_uuid(row.purchase_id) if row.purchase_id is not None else None,
        payment_intent=row.payment_intent,
        facts=row.facts,
        occurred_at=row.occurred_at,
        received_at=row.received_at,
    )


def _uuid(value: Any) -> UUID:
    """Return the driver's UUID as one of the standard library, which compares and prints like all others."""
    return UUID(bytes=value.bytes)
