"""Payments for grants, and what was returned of them."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.errors import InvalidError, KeyConflictError
from faregate.core.values.moments import check_moment
from faregate.credit.closing.repository import CloseRepository
from faregate.credit.closing.values import GrantPayment
from faregate.credit.errors import UnknownGrantError
from faregate.credit.ledger.accounts import GrantSource
from faregate.credit.ledger.reasons import operation_digest
from faregate.credit.services.credits import CreditService
from faregate.credit.services.ledger_session import LedgerSession

__all__ = ["FIRST_PAYMENT", "PaymentRecords", "cents_of", "usd_of"]

FIRST_PAYMENT = "payment"
"""The key of a payment that is recorded without one: a grant has one such payment."""

_LIMIT_USD = Decimal(10**9)


class PaymentRecords:
    """Records payments for grants. Works in the caller's transaction and never commits."""

    def __init__(self, closes: CloseRepository, credit: CreditService, ledger_session: LedgerSession) -> None:
        self._closes = closes
        self._credit = credit
        self._ledger_session = ledger_session

    async def record(
        self,
        session: AsyncSession,
        owner_id: str,
        grant_id: UUID,
        paid_usd: Decimal,
        *,
        key: str = FIRST_PAYMENT,
        paid_at: datetime | None = None,
    ) -> GrantPayment:
        """Record a payment for a grant, or with a negative amount one that was returned. Each key is recorded once.

        Raises:
            UnknownWalletError, UnknownGrantError: the owner has no wallet, or it has no such grant.
            InvalidError: the amount is 0 or not whole cents, or more would be returned than was paid.
            KeyConflictError: the key was used for another amount.
        """
        cents = cents_of(paid_usd)
        if paid_at is not None:
            check_moment(paid_at, param="paid_at")
        wallet_id = (await self._credit.get_owner(session, owner_id)).subject_id
        _check_source(await self._closes.lock_grant(session, wallet_id, grant_id), grant_id)
        known, stored = dict(await self._closes.payments(session, grant_id)), str(operation_digest(key))
        replayed = stored in known
        if not replayed:
            _check_sum(sum(known.values()) + cents)
            known[stored] = cents
            await self._closes.add_payment(
                session,
                wallet_id,
                grant_id,
                key=stored,
                cents=cents,
                paid_at=paid_at,
                now=self._ledger_session.now(),
            )
        elif known[stored] != cents:
            raise KeyConflictError(
                f"the key {key!r} was already used for a payment of {usd_of(known[stored])} USD for this grant; record a returned "
                "payment as a negative amount with a key of its own",
                param="key",
            )
        return GrantPayment(owner_id, grant_id, usd_of(sum(known.values())), replayed)


def cents_of(paid_usd: Decimal) -> int:
    """Return an amount in USD as cents, exactly.

    Raises:
        InvalidError: it is 0, not a number, too large or not in whole cents.
    """
    if not paid_usd.is_finite() or abs(paid_usd) >= _LIMIT_USD:
        raise InvalidError(f"paid_usd must be a number between -{_LIMIT_USD} and {_LIMIT_USD}", param="paid_usd")
    cents = paid_usd * 100
    if cents != cents.to_integral_value():
        raise InvalidError("paid_usd has more than 2 decimal places; round it to whole cents", param="paid_usd")
    if cents == 0:
        raise InvalidError(
            "paid_usd must not be 0; leave a grant that nobody paid for without a payment", param="paid_usd"
        )
    return int(cents)


def usd_of(cents: int) -> Decimal:
    """Return cents as USD, exactly, with two places."""
    return Decimal(cents).scaleb(-2)


def _check_source(source: str | None, grant_id: UUID) -> None:
    if source is None:
        raise UnknownGrantError(grant_id)
    if source == GrantSource.REFUND:
        raise InvalidError(
            "grant_id names a grant that a refund made; record the payment for the grant that was bought",
            param="grant_id",
        )


def _check_sum(cents: int) -> None:
    if cents < 0:
        raise InvalidError(
            f"paid_usd returns {usd_of(-cents)} USD more than was paid for this grant; return at most what was paid",
            param="paid_usd",
        )
