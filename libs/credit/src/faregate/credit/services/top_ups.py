"""Payment of automatic top-up orders, each order once."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.subjects import Subject, Subjects
from faregate.core.errors import ConfigurationError
from faregate.core.logging import get_logger
from faregate.credit.errors import PaymentDeclinedError
from faregate.credit.interfaces import ITopUpProvider, Payment, PaymentOrder
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.grants import GrantSpec, add_grant
from faregate.credit.ledger.top_ups import close_order
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.storage.repository import LedgerRepository
from faregate.credit.storage.service_sql import TOP_UP_CLOSE, TOP_UP_ORDER
from faregate.wire.credits import to_credits

__all__ = ["NoProvider", "OnAccountProvider", "TopUpService"]

log = get_logger(__name__)

_PAUSE_AFTER_DECLINE = timedelta(hours=1)


class NoProvider:
    """Used if no payment provider is configured: orders wait until one is."""

    async def pay(self, order: PaymentOrder) -> Payment:
        raise ConfigurationError(f"order {order.order_id} cannot be paid: no payment provider is configured")


class OnAccountProvider:
    """Accepts every order without a payment; the operator invoices the purchases of the ledger later."""

    async def pay(self, order: PaymentOrder) -> Payment:
        return Payment(f"on-account:{order.order_id}")


class TopUpService:
    """Pays orders; owns its transactions. After a crash at any point the order is processed again, and paid once."""

    def __init__(
        self,
        database: Database,
        repository: LedgerRepository,
        ledger_session: LedgerSession,
        subjects: Subjects,
        provider: ITopUpProvider,
    ) -> None:
        self._database = database
        self._ledger = repository
        self._ledger_session = ledger_session
        self._subjects = subjects
        self._provider = provider

    async def fulfil(self, order_id: UUID) -> None:
        """Have an order paid and grant its credits. Safe to repeat.

        Raises:
            Any error of the provider except a decline: the order stays open.
        """
        found = await self._find(order_id)
        if found is None:
            return
        wallet_id, amount, owner = found
        order = PaymentOrder(order_id, owner.external_id, owner.email, to_credits(amount))
        try:
            payment = await self._provider.pay(order)
        except PaymentDeclinedError as declined:
            reason = declined.detail
            log.warning("top_up_declined", order_id=str(order_id), reason=reason)
            await self._database.run(lambda session: self._decline(session, order_id, wallet_id, reason))
            return
        await self._database.run(lambda session: self._grant(session, order_id, wallet_id, amount, payment))
        log.info("top_up_paid", order_id=str(order_id), credits=str(order.credits))

    async def _find(self, order_id: UUID) -> tuple[int, int, Subject] | None:
        async with self._database.transaction() as session:
            rows = await self._database.rows(session, TOP_UP_ORDER, order_id=order_id)
            if not rows or rows[0].status != "requested":
                return None
            owner = (await self._subjects.named(session, [rows[0].wallet_id]))[rows[0].wallet_id]
        return rows[0].wallet_id, rows[0].amount, owner

    async def _grant(
        self, session: AsyncSession, order_id: UUID, wallet_id: int, amount: int, payment: Payment
    ) -> None:
        book = await self._ledger_session.lock(session, [wallet_id])
        wallet = book.wallets[wallet_id]
        key = f"top-up:{order_id}"
        await self._ledger.load_grants_by_key(session, book, [(wallet_id, key)])
        reason = f"automatic top-up, payment {payment.reference}"
        spec = GrantSpec(amount, GrantSource.PURCHASE, key=key, actor="top-up", reason=reason)
        add_grant(book, wallet, spec, paid_for=True)
        close_order(wallet, order_id)
        book.touch(wallet)
        await self._close(session, order_id, "paid", reference=payment.reference)
        await self._ledger_session.write(session, book)

    async def _decline(self, session: AsyncSession, order_id: UUID, wallet_id: int, detail: str) -> None:
        book = await self._ledger_session.lock(session, [wallet_id])
        wallet = book.wallets[wallet_id]
        close_order(wallet, order_id)
        wallet.top_up_not_before = book.now + _PAUSE_AFTER_DECLINE
        book.touch(wallet)
        await self._close(session, order_id, "declined", detail=detail)
        await self._ledger_session.write(session, book)

    async def _close(
        self,
        session: AsyncSession,
        order_id: UUID,
        status: str,
        *,
        reference: str | None = None,
        detail: str | None = None,
    ) -> None:
        await self._database.rows(
            session, TOP_UP_CLOSE, order_id=order_id, status=status, reference=reference, detail=detail
        )
