"""Transfers of one purchase, as the facts of its payment demand."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.errors import RetryTransactionError
from faregate.credit.ledger.accounts import GrantSource, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.clawbacks import ClawBack, ReversalPolicy, correct_purchase, position_of
from faregate.credit.ledger.grants import GrantSpec, add_grant
from faregate.credit.ledger.reasons import operation_digest
from faregate.credit.ledger.states import Transfer, TransferNote, WalletState
from faregate.credit.payments.repository import StoredPurchase
from faregate.credit.payments.rules import PaymentFacts, reversed_amount, share_of, status_of
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.services.top_up_orders import TopUpOrders
from faregate.credit.storage.repository import LedgerRepository

__all__ = ["PurchaseLedger", "PurchaseMoves"]

_ACTOR = "stripe"


@dataclass(frozen=True, slots=True)
class PurchaseMoves:
    """What the ledger shows of a purchase, in micro-credits; `grant_id` is the grant that it filled."""

    granted: int
    position: ClawBack
    grant_id: UUID | None = None


class PurchaseLedger:
    """Grants purchases, claws them back and reinstates them, in the caller's transaction, which holds the purchase's lock.

    What was moved before is read from the ledger, under the wallet's lock: corrections by operators count as well.
    """

    def __init__(
        self,
        repository: LedgerRepository,
        ledger_session: LedgerSession,
        orders: TopUpOrders,
        policy: ReversalPolicy,
    ) -> None:
        self._ledger = repository
        self._ledger_session = ledger_session
        self._orders = orders
        self._policy = policy

    async def move(self, session: AsyncSession, purchase: StoredPurchase, facts: PaymentFacts) -> PurchaseMoves:
        """Post what is missing; return what is granted, and what is clawed back of it."""
        if not facts.paid:
            return PurchaseMoves(0, ClawBack())
        book = await self._ledger_session.lock(session, [purchase.wallet_id])
        wallet = book.wallets[purchase.wallet_id]
        await self._ledger.load_grants(session, book, [wallet.wallet_id])
        await self._ledger.load_grants_by_key(session, book, [(wallet.wallet_id, purchase.grant_key)])
        filling = await self._granted(session, book, wallet, purchase, facts)
        corrections = await self._ledger.corrections(session, wallet.wallet_id, filling.seq)
        posted = await self._correct(session, book, wallet, filling, corrections, purchase, facts)
        await self._ledger_session.write(session, book)
        grant = next((grant.grant_id for grant in wallet.grants.values() if grant.key == purchase.grant_key), None)
        return PurchaseMoves(filling.amount, position_of([*corrections, *posted]), grant)

    async def _granted(
        self,
        session: AsyncSession,
        book: Book,
        wallet: WalletState,
        purchase: StoredPurchase,
        facts: PaymentFacts,
    ) -> Transfer:
        """Return the transfer that granted the purchase; grant it if that has not been done."""
        key = purchase.grant_key
        found = _filling(await self._ledger.operation(session, wallet.wallet_id, key))
        if found is None:
            amount = share_of(purchase.credits, facts.paid, purchase.amount)
            reason = f"purchase, payment {purchase.payment_intent}" if purchase.payment_intent else "purchase"
            spec = GrantSpec(amount, GrantSource.PURCHASE, key=key, actor=_ACTOR, reason=reason)
            add_grant(book, wallet, spec, paid_for=True)
            digest = operation_digest(key)
            found = _filling([transfer for transfer in book.transfers if transfer.operation_key == digest])
        if found is None:
            raise RetryTransactionError(f"the grant of purchase {purchase.purchase_id} was not posted")
        if purchase.order_id is not None:
            await self._orders.paid(session, book, wallet, purchase.order_id, reference=purchase.payment_intent)
        return found

    async def _correct(
        self,
        session: AsyncSession,
        book: Book,
        wallet: WalletState,
        filling: Transfer,
        corrections: Sequence[Transfer],
        purchase: StoredPurchase,
        facts: PaymentFacts,
    ) -> list[Transfer]:
        target = share_of(filling.amount, reversed_amount(facts), facts.paid)
        seqs = [filling.seq, *(one.seq for one in corrections)]
        stored = await self._ledger.slices(session, wallet.wallet_id, seqs)
        slices = [*stored, *(part for part in book.slices if part.seq == filling.seq)]
        await self._ledger.load_grants_by_id(session, book, {part.grant_id for part in stored})
        note = TransferNote(
            operation_key=f"payment:{purchase.purchase_id}",
            actor=_ACTOR,
            reason=f"payment {purchase.payment_intent}: {status_of(facts).value}",
        )
        return correct_purchase(
            book, wallet, filling, target, corrections=corrections, slices=slices, policy=self._policy, note=note
        )


def _filling(transfers: Sequence[Transfer]) -> Transfer | None:
    return next((transfer for transfer in transfers if transfer.kind is TransferKind.GRANT), None)
