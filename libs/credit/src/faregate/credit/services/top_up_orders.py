"""Top-up orders: reading, fulfilling and declining one, in the caller's transaction."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.webhooks.outgoing_events import Event, EventType, IAnnouncer
from faregate.credit.interfaces import Payment, PaymentOrder
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.grants import GrantSpec, add_grant
from faregate.credit.ledger.states import WalletState
from faregate.credit.ledger.top_ups import close_order
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.storage.repository import LedgerRepository
from faregate.credit.storage.service_sql import TOP_UP_DECLINED, TOP_UP_ORDER, TOP_UP_PAID
from faregate.wire.credits import to_credits, to_micros

__all__ = ["TopUpOrders"]

_PAUSE_AFTER_DECLINE = timedelta(hours=1)


class TopUpOrders:
    """Reads and closes top-up orders in the caller's transaction."""

    def __init__(
        self,
        database: Database,
        repository: LedgerRepository,
        ledger_session: LedgerSession,
        subjects: Subjects,
        announcer: IAnnouncer,
    ) -> None:
        self._database = database
        self._ledger = repository
        self._ledger_session = ledger_session
        self._subjects = subjects
        self._announcer = announcer

    async def requested(self, session: AsyncSession, order_id: UUID) -> tuple[int, PaymentOrder] | None:
        """Return an order that waits for its payment, with its wallet; None for any other."""
        rows = await self._database.rows(session, TOP_UP_ORDER, order_id=order_id)
        if not rows or rows[0].status != "requested":
            return None
        wallet_id: int = rows[0].wallet_id
        owner = (await self._subjects.named(session, [wallet_id]))[wallet_id]
        return wallet_id, PaymentOrder(order_id, owner.external_id, owner.email, to_credits(rows[0].amount))

    async def fulfil(self, session: AsyncSession, wallet_id: int, order: PaymentOrder, payment: Payment) -> None:
        """Grant the credits of a paid order and close it. Safe to repeat."""
        book = await self._ledger_session.lock(session, [wallet_id])
        wallet = book.wallets[wallet_id]
        key = f"top-up:{order.order_id}"
        await self._ledger.load_grants_by_key(session, book, [(wallet_id, key)])
        reason = f"automatic top-up, payment {payment.reference}"
        amount = to_micros(order.credits)
        spec = GrantSpec(amount, GrantSource.PURCHASE, key=key, actor="top-up", reason=reason)
        add_grant(book, wallet, spec, paid_for=True)
        await self.paid(session, book, wallet, order.order_id, reference=payment.reference)
        await self._ledger_session.write(session, book)

    async def paid(
        self, session: AsyncSession, book: Book, wallet: WalletState, order_id: UUID, *, reference: str | None
    ) -> None:
        """Close an order as paid, also one that was declined before; the caller grants its credits and writes the book."""
        close_order(wallet, order_id)
        book.touch(wallet)
        await self._database.rows(session, TOP_UP_PAID, order_id=order_id, reference=reference)

    async def decline(self, session: AsyncSession, wallet_id: int, order: PaymentOrder, detail: str) -> None:
        """Close an order whose payment was declined; the wallet orders again in an hour at the earliest."""
        book = await self._ledger_session.lock(session, [wallet_id])
        wallet = book.wallets[wallet_id]
        rows = await self._database.rows(session, TOP_UP_DECLINED, order_id=order.order_id, detail=detail)
        if not rows:
            return
        close_order(wallet, order.order_id)
        wallet.top_up_not_before = book.now + _PAUSE_AFTER_DECLINE
        book.touch(wallet)
        await self._ledger_session.write(session, book)
        data = {"order_id": str(order.order_id), "credits": order.credits, "reason": detail}
        await self._announcer.announce(session, [Event(EventType.TOP_UP_DECLINED, data, {"owner_id": wallet_id})])
