"""Payment service: events of Stripe, and the purchases that they move."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.logging import get_logger
from faregate.core.webhooks.outgoing_events import Event, EventType, IAnnouncer
from faregate.credit.errors import UnknownPurchaseError
from faregate.credit.ledger.clawbacks import ClawBack
from faregate.credit.payments.purchase_ledger import PurchaseLedger
from faregate.credit.payments.purchase_value import PurchaseValue
from faregate.credit.payments.repository import PurchaseRepository, StoredPurchase
from faregate.credit.payments.rules import PaymentFacts, reversed_amount, status_of
from faregate.credit.payments.values import PaymentEvent, Purchase, Receipt, RecordedEvent
from faregate.wire.credits import to_credits

__all__ = ["PaymentService"]

log = get_logger(__name__)


class PaymentService:
    """Takes events of payments and lists purchases; owns its transactions.

    An event may come late, twice, before the event that it follows from, or at the same time as another one. Its facts are stored
    under the lock of its payment; then the purchase is moved to what all its stored events say together, so that the outcome
    does not depend on the order.
    """

    def __init__(
        self,
        database: Database,
        repository: PurchaseRepository,
        ledger: PurchaseLedger,
        value: PurchaseValue,
        subjects: Subjects,
        announcer: IAnnouncer,
    ) -> None:
        self._database = database
        self._purchases = repository
        self._ledger = ledger
        self._value = value
        self._subjects = subjects
        self._announcer = announcer

    async def take(self, event: PaymentEvent) -> Receipt:
        """Store an event and apply what follows from it. Safe to repeat: the event's id identifies it."""
        receipt = await self._database.run(lambda session: self._take(session, event))
        log.info("payment_event", type=event.type, event_id=event.event_id, receipt=receipt.value)
        return receipt

    async def purchases(
        self,
        *,
        owner_id: str | None = None,
        status: str | None = None,
        before: tuple[datetime, UUID] | None = None,
        limit: int = 100,
    ) -> list[Purchase]:
        """Return purchases, the newest first."""
        return await self._database.run(
            lambda session: self._purchases.list(session, owner_id=owner_id, status=status, before=before, limit=limit)
        )

    async def purchase(self, purchase_id: UUID) -> tuple[Purchase, Sequence[RecordedEvent]]:
        """Return a purchase and its events.

        Raises:
            UnknownPurchaseError: there is none with this id.
        """

        async def work(session: AsyncSession) -> tuple[Purchase, Sequence[RecordedEvent]]:
            found = await self._purchases.get(session, purchase_id)
            if found is None:
                raise UnknownPurchaseError(purchase_id)
            owner = (await self._subjects.named(session, [found.wallet_id]))[found.wallet_id]
            return found.view(owner.external_id), await self._purchases.events(session, purchase_id)

        return await self._database.run(work)

    async def waiting_events(self, *, limit: int = 100) -> Sequence[RecordedEvent]:
        """Return the events whose purchase is not known, the latest first."""
        return await self._database.run(lambda session: self._purchases.waiting_events(session, limit=limit))

    async def _take(self, session: AsyncSession, event: PaymentEvent) -> Receipt:
        linked = await self._linked(session, event)
        purchase_id = linked or event.purchase_id
        if not await self._purchases.add_event(session, replace(event, purchase_id=purchase_id)):
            return Receipt.REPEATED
        purchase = await self._purchases.get(session, purchase_id, lock=True) if purchase_id is not None else None
        if purchase is None:
            return Receipt.WAITING
        if event.payment_intent is not None and linked is None:
            await self._purchases.link(session, event.payment_intent, purchase.purchase_id)
        await self._apply(session, purchase, event)
        return Receipt.APPLIED

    async def _linked(self, session: AsyncSession, event: PaymentEvent) -> UUID | None:
        if event.payment_intent is None:
            return None
        return await self._purchases.lock_link(session, event.payment_intent)

    async def _apply(self, session: AsyncSession, purchase: StoredPurchase, event: PaymentEvent) -> None:
        if event.saved is not None:
            await self._purchases.save_method(session, purchase.wallet_id, event.saved, saved_at=event.occurred_at)
        facts, count = await self._purchases.facts(session, purchase.purchase_id)
        moves = await self._ledger.move(session, purchase, facts)
        await self._value.record(session, purchase, facts, moves, step=count, at=event.occurred_at)
        await self._purchases.settled(
            session,
            purchase.purchase_id,
            status=status_of(facts).value,
            granted=moves.granted,
            taken=moves.position.taken,
            lost=moves.position.lost,
            returned=reversed_amount(facts),
            failure=event.failure,
        )
        await self._announcer.announce(session, _events(purchase, facts, moves.position))


def _events(purchase: StoredPurchase, facts: PaymentFacts, position: ClawBack) -> Iterable[Event]:
    """Return the event of a reversal that took more credits than any before."""
    more = position.total - purchase.taken - purchase.lost
    if more > 0:
        data = {
            "purchase_id": str(purchase.purchase_id),
            "status": status_of(facts).value,
            "credits": to_credits(more),
            "lost": to_credits(max(0, position.lost - purchase.lost)),
        }
        yield Event(EventType.PAYMENT_REVERSED, data, {"owner_id": purchase.wallet_id})
