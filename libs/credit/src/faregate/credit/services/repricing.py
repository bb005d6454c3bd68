"""Charges for lines that had no price when they were settled."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.subjects import Subjects
from faregate.core.errors import RetryTransactionError
from faregate.credit.errors import unknown_usage_key
from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.settlement import charge_wallet
from faregate.credit.ledger.states import ChargeState, ChargeStatus, Flag, TransferNote
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.storage.repository import LedgerRepository

__all__ = ["RepricingService"]


class RepricingService:
    """Adds transfers to settled charges: one for each key, line and price version.

    Works in the caller's transaction and never commits.
    """

    def __init__(self, repository: LedgerRepository, ledger_session: LedgerSession, subjects: Subjects) -> None:
        self._ledger = repository
        self._ledger_session = ledger_session
        self._subjects = subjects

    async def author(self, session: AsyncSession, actor: str | None) -> str | None:
        """Return the name of `actor` in the ledger; see `Subjects.append_only_actor`."""
        return await self._subjects.append_only_actor(session, actor) if actor is not None else None

    async def lock(self, session: AsyncSession, usage_key: str) -> tuple[Book, ChargeState]:
        """Lock the wallet of a settled charge and return the charge.

        Raises:
            UnknownUsageKeyError: the charge does not exist.
        """
        known: Mapping[str, ChargeState] = await self._ledger.charges(session, [usage_key])
        if usage_key not in known:
            raise unknown_usage_key(usage_key)
        charge = known[usage_key]
        book = await self._ledger_session.lock(
            session, [charge.wallet_id], keys=[usage_key], scopes=charge.limit_scopes
        )
        charge = book.charges[usage_key]
        if charge.status is not ChargeStatus.SETTLED:
            raise RetryTransactionError(f"{usage_key!r} is not settled")
        await self._ledger.load_grants(session, book, [charge.wallet_id])
        return book, charge

    def add(self, book: Book, charge: ChargeState, *, consumed: int, chargeable: int, note: TransferNote) -> int:
        """Charge more for a use and return the amount charged; as in a settlement, the uncovered part is shortfall."""
        charged, shortfall = 0, 0
        if chargeable:
            wallet = book.wallets[charge.wallet_id]
            charged, shortfall = charge_wallet(
                book, wallet, chargeable, charge=charge, kind=TransferKind.REPRICE, note=note
            )
            book.count_limits(charge, spent=charged)
        charge.consumed += consumed
        charge.charged += charged
        charge.shortfall += shortfall
        if shortfall:
            charge.flags |= Flag.SHORTFALL
        book.touch_charge(charge)
        return charged

    def close(self, book: Book, charge: ChargeState) -> None:
        """Clear the `UNPRICED` flag: every line of the use has a price now."""
        charge.flags &= ~Flag.UNPRICED
        book.touch_charge(charge)

    async def write(self, session: AsyncSession, book: Book) -> None:
        """Write the added transfers."""
        await self._ledger_session.write(session, book)
