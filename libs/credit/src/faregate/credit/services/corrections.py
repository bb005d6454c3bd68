"""Manual corrections: refunds, adjustments and chargebacks, each once per key."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.subjects import Subjects
from faregate.core.errors import InvalidError, KeyConflictError
from faregate.credit.errors import UnknownTransferError, UnknownWalletError, unknown_usage_key
from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.corrections import (
    REFUNDABLE,
    adjust,
    charge_back,
    is_adjustment,
    is_charge_back_of,
    is_refund_of,
    refund,
    refund_parts,
)
from faregate.credit.ledger.states import Transfer, TransferNote
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.storage.repository import LedgerRepository
from faregate.credit.values import CreditTransaction, transaction_view, transfer_position

__all__ = ["CorrectionService", "actor_and_reason"]


class CorrectionService:
    """Corrects posted transfers. Works in the caller's transaction and never commits.

    `note` must have an actor and a reason; with an `operation_key`, a repeated call returns the first result.
    """

    def __init__(self, repository: LedgerRepository, ledger_session: LedgerSession, subjects: Subjects) -> None:
        self._ledger = repository
        self._ledger_session = ledger_session
        self._subjects = subjects

    async def refund(
        self, session: AsyncSession, transaction_id: str, *, amount: int | None, note: TransferNote
    ) -> CreditTransaction:
        """Refund a charge, fully (None) or in part, to the grants that paid it.

        Raises:
            UnknownTransferError, InvalidError: the transaction does not exist, or is not a charge.
            NotRefundableError: the amount exceeds what earlier refunds have left.
            KeyConflictError: the operation key was used for a different correction.
        """
        note = await self._signed(session, note)
        wallet_id, original, book = await self._open(session, transaction_id)
        corrections = await self._ledger.corrections(session, wallet_id, original.seq)
        done = await self._done(session, wallet_id, note)
        if done is not None:
            _require_same(note, is_refund_of(done, original, amount=amount, corrections=corrections))
            return await self._view(session, done)
        posted = await self._refund(session, book, original, corrections, amount=amount, note=note)
        await self._ledger_session.write(session, book)
        return await self._view(session, posted)

    async def refund_use(
        self, session: AsyncSession, usage_key: str, *, amount: int | None, note: TransferNote
    ) -> list[CreditTransaction]:
        """Refund a use, fully (None) or in part: all charges that were posted for it, the last one first.

        Raises:
            UnknownUsageKeyError: there is no such use.
            NotRefundableError: the amount exceeds what was charged and is not refunded yet.
            KeyConflictError: the operation key was used for a different correction.
        """
        note = await self._signed(session, note)
        charge = (await self._ledger.charges(session, [usage_key])).get(usage_key)
        if charge is None:
            raise unknown_usage_key(usage_key)
        book = await self._ledger_session.lock(session, [charge.wallet_id])
        charges = [t for t in await self._ledger.transfers_of(session, charge) if t.kind in REFUNDABLE]
        done = [t for original in charges for t in await self._operation(session, original, note)]
        if done:
            _require_same(note, amount is None or amount == sum(transfer.amount for transfer in done))
            return [transaction_view(transfer, {usage_key: charge}) for transfer in reversed(done)]
        posted = await self._refund_all(session, book, charges, amount=amount, note=note)
        await self._ledger_session.write(session, book)
        return [transaction_view(transfer, {usage_key: charge}) for transfer in posted]

    async def charge_back(
        self, session: AsyncSession, transaction_id: str, *, note: TransferNote
    ) -> list[CreditTransaction]:
        """Reverse a purchase whose payment was reversed; repeating it changes nothing.

        Raises:
            UnknownTransferError, InvalidError: the transaction does not exist, or is not a purchase.
            KeyConflictError: the operation key was used for a different correction.
        """
        note = await self._signed(session, note)
        wallet_id, original, book = await self._open(session, transaction_id)
        done = await self._done(session, wallet_id, note)
        if done is not None:
            _require_same(note, is_charge_back_of(done, original))
        earlier = await self._ledger.corrections(session, wallet_id, original.seq)
        filled = await self._ledger.slices(session, wallet_id, [original.seq])
        await self._ledger.load_grants(session, book, [wallet_id])
        grants = [part.grant_id for part in filled]
        posted = charge_back(book, book.wallets[wallet_id], original, grants=grants, earlier=earlier, note=note)
        await self._ledger_session.write(session, book)
        return [await self._view(session, transfer) for transfer in posted]

    async def adjust(
        self, session: AsyncSession, owner_id: str, *, amount: int, note: TransferNote
    ) -> CreditTransaction:
        """Correct a balance manually, up or down.

        Raises:
            UnknownWalletError: the owner has no wallet yet.
            InvalidError: the amount is 0.
            InsufficientCreditsError: the balance would be reduced by more than is free.
            KeyConflictError: the operation key was used for a different correction.
        """
        note = await self._signed(session, note)
        subject = (await self._subjects.find(session, [owner_id])).get(owner_id)
        if subject is None or not await self._ledger.has_wallet(session, subject.subject_id):
            raise UnknownWalletError(owner_id)
        book = await self._ledger_session.lock(session, [subject.subject_id])
        wallet = book.wallets[subject.subject_id]
        done = await self._done(session, wallet.wallet_id, note)
        if done is not None:
            _require_same(note, is_adjustment(done, amount))
            return await self._view(session, done)
        await self._ledger.load_grants(session, book, [wallet.wallet_id])
        if note.operation_key is not None:
            await self._ledger.load_grants_by_key(session, book, [(wallet.wallet_id, note.operation_key)])
        posted = adjust(book, wallet, amount, note=note)
        await self._ledger_session.write(session, book)
        return await self._view(session, posted)

    async def _signed(self, session: AsyncSession, note: TransferNote) -> TransferNote:
        """Return the note with the actor replaced by the name that the ledger stores permanently."""
        actor, _ = actor_and_reason(note)
        return replace(note, actor=await self._subjects.append_only_actor(session, actor))

    async def _open(self, session: AsyncSession, transaction_id: str) -> tuple[int, Transfer, Book]:
        wallet_id, seq = transfer_position(transaction_id)
        original = await self._ledger.transfer(session, wallet_id, seq)
        if original is None:
            raise UnknownTransferError(transaction_id)
        return wallet_id, original, await self._ledger_session.lock(session, [wallet_id])

    async def _refund_all(
        self, session: AsyncSession, book: Book, charges: Sequence[Transfer], *, amount: int | None, note: TransferNote
    ) -> list[Transfer]:
        corrections = {t.seq: await self._ledger.corrections(session, t.wallet_id, t.seq) for t in charges}
        left = [(t, t.amount - sum(refund.amount for refund in _refunds(corrections[t.seq]))) for t in charges]
        return [
            await self._refund(
                session, book, original, corrections[original.seq], amount=part, note=_part_note(note, original)
            )
            for original, part in refund_parts(left, amount)
        ]

    async def _refund(
        self,
        session: AsyncSession,
        book: Book,
        original: Transfer,
        corrections: Sequence[Transfer],
        *,
        amount: int | None,
        note: TransferNote,
    ) -> Transfer:
        wallet_id, refunds = original.wallet_id, _refunds(corrections)
        slices = await self._ledger.slices(session, wallet_id, [original.seq])
        given = await self._ledger.slices(session, wallet_id, [transfer.seq for transfer in refunds])
        await self._ledger.load_grants_by_id(session, book, (part.grant_id for part in slices))
        return refund(
            book,
            book.wallets[wallet_id],
            original,
            amount=amount,
            slices=slices,
            refunds=refunds,
            refund_slices=given,
            note=note,
        )

    async def _done(self, session: AsyncSession, wallet_id: int, note: TransferNote) -> Transfer | None:
        """Return the first transfer of the operation key, if it was used before."""
        if note.operation_key is None:
            return None
        return next(iter(await self._ledger.operation(session, wallet_id, note.operation_key)), None)

    async def _operation(self, session: AsyncSession, original: Transfer, note: TransferNote) -> list[Transfer]:
        """Return the refund of one charge of a use by this operation, if it was made before."""
        key = _part_note(note, original).operation_key
        return await self._ledger.operation(session, original.wallet_id, key) if key is not None else []

    async def _view(self, session: AsyncSession, transfer: Transfer) -> CreditTransaction:
        keys = [transfer.usage_key] if transfer.usage_key is not None else []
        return transaction_view(transfer, await self._ledger.charges(session, keys) if keys else {})


def actor_and_reason(note: TransferNote) -> tuple[str, str]:
    """Return actor and reason of a correction, or raise `InvalidError` if one of them is missing."""
    if not (note.reason or "").strip():
        raise InvalidError("reason is required: state why the correction is made", param="reason")
    if not note.actor:
        raise InvalidError("actor is required: state who makes the correction", param="actor")
    return note.actor, str(note.reason)


def _refunds(corrections: Sequence[Transfer]) -> list[Transfer]:
    return [transfer for transfer in corrections if transfer.kind is TransferKind.REFUND]


def _part_note(note: TransferNote, original: Transfer) -> TransferNote:
    """Return the note of the part of an operation that corrects `original`: each transfer has an operation key of its own."""
    key = note.operation_key
    return replace(note, operation_key=f"{key}/{original.seq}") if key is not None else note


def _require_same(note: TransferNote, same: bool) -> None:
    if not same:
        raise KeyConflictError(
            f"the operation key {note.operation_key!r} was already used for a different correction; use a new key",
            param="operation_key",
        )
