"""Paid value of purchases, recorded for the monthly close."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.subjects import Subjects
from faregate.core.errors import InvalidError, KeyConflictError
from faregate.core.logging import get_logger
from faregate.credit.closing.payments import PaymentRecords
from faregate.credit.payments.purchase_ledger import PurchaseMoves
from faregate.credit.payments.repository import StoredPurchase
from faregate.credit.payments.rules import PaymentFacts, reversed_amount

__all__ = ["PurchaseValue"]

log = get_logger(__name__)

_CENTS = Decimal(100)


class PurchaseValue:
    """Records what was paid for a purchase and what was returned of it, in the caller's transaction.

    Revenue and deferred revenue of the close follow from these records.
    """

    def __init__(self, records: PaymentRecords, subjects: Subjects) -> None:
        self._records = records
        self._subjects = subjects

    async def record(
        self,
        session: AsyncSession,
        purchase: StoredPurchase,
        facts: PaymentFacts,
        moves: PurchaseMoves,
        *,
        step: int,
        at: datetime,
    ) -> None:
        """Record the payment when the purchase is granted, and what has been returned since the last step."""
        if moves.grant_id is None:
            return
        key = f"stripe:{purchase.purchase_id}"
        if purchase.granted == 0:
            await self._add(session, purchase, moves.grant_id, facts.paid, key=key, at=at)
        returned = reversed_amount(facts) - purchase.returned
        if returned:
            await self._add(session, purchase, moves.grant_id, -returned, key=f"{key}:{step}", at=at)

    async def _add(
        self, session: AsyncSession, purchase: StoredPurchase, grant_id: UUID, cents: int, *, key: str, at: datetime
    ) -> None:
        owner = (await self._subjects.named(session, [purchase.wallet_id]))[purchase.wallet_id]
        try:
            await self._records.record(session, owner.external_id, grant_id, cents / _CENTS, key=key, paid_at=at)
        except (
            InvalidError,
            KeyConflictError,
        ) as error:  # an operator has recorded the same by hand: the credits still follow
            log.warning("payment_not_recorded", purchase_id=str(purchase.purchase_id), reason=error.detail)
