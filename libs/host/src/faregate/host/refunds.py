"""Refunds of the facade: a use by its key."""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.credit.ledger.states import TransferNote
from faregate.credit.services.corrections import CorrectionService
from faregate.credit.values import CreditTransaction
from faregate.host.grants import credit_amount

__all__ = ["Refund", "Refunds"]


@dataclass(frozen=True, slots=True)
class Refund:
    """Credits that were returned for a use, by one or more transactions."""

    usage_key: str
    credits: Decimal
    transactions: tuple[CreditTransaction, ...]


class Refunds:
    """Refunds uses, in a transaction of their own or in the host's."""

    def __init__(self, database: Database, corrections: CorrectionService) -> None:
        self._database = database
        self._corrections = corrections

    async def refund(
        self,
        usage_key: str,
        credits: Decimal | int | None,
        *,
        reason: str,
        actor: str,
        refund_key: str | None,
        session: AsyncSession | None,
    ) -> Refund:
        """Refund a use; see `Faregate.refund`."""
        amount = credit_amount(credits) if credits is not None else None
        key = refund_key or f"refund:{usage_key}:{'all' if amount is None else amount}"
        note = TransferNote(actor=actor, reason=reason, operation_key=key)

        async def work(given: AsyncSession) -> list[CreditTransaction]:
            return await self._corrections.refund_use(given, usage_key, amount=amount, note=note)

        done = await (work(session) if session is not None else self._database.run(work))
        return Refund(usage_key, sum((transaction.amount for transaction in done), Decimal(0)), tuple(done))
