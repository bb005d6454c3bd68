"""Corrections by people: refunds, adjustments, charge-backs. Each names who and why, and happens once per key."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.subjects import Subjects
from faregate.core.errors import InvalidError, KeyConflictError
from faregate.credit.errors import UnknownTransferError, UnknownWalletError
from faregate.credit.ledger.accounts import TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.corrections import (
    adjust,
    charge_back,
    is_adjustment,
    is_charge_back_of,
    is_refund_of,
    refund,
)
from faregate.credit.ledger.states import Note, Transfer
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.storage.repository import LedgerRepository
from faregate.credit.values import CreditTransaction, transaction_view, transfer_position

__all__ = ["CorrectionService", "required_words"]


class CorrectionService:
    """Puts right what was posted. Works in the caller's transaction and never commits.

    `note` must name an actor and a reason; with an `operation_key` the same call again returns the first result.
    """

    def __init__(self, repository: LedgerRepository, locker: LedgerSession, subjects: Subjects) -> None:
        self._ledger = repository
        self._locker = locker
        self._subjects = subjects

    async def refund(
        self, session: AsyncSession, transaction_id: str, *, amount: int | None, note: Note
    ) -> CreditTransaction:
        """Give back a charge, wholly (None) or in part, to the grants that paid it.

        Raises:
            UnknownTransferError, InvalidError: no such charge.
            NotRefundableError: more than is left of it after earlier refunds.
            KeyConflictError: the operation key was used for something else.
        """
        note = await self._signed(session, note)
        wallet_id, original, book = await self._open(session, transaction_id)
        corrections = await self._ledger.corrections(session, wallet_id, original.seq)
        done = await self._done(session, wallet_id, note)
        if done is not None:
            _require_same(note, is_refund_of(done, original, amount=amount, corrections=corrections))
            return await self._view(session, done)
        refunds = [transfer for transfer in corrections if transfer.kind is TransferKind.REFUND]
        slices = await self._ledger.slices(session, wallet_id, [original.seq])
        given = await self._ledger.slices(session, wallet_id, [transfer.seq for transfer in refunds])
        await self._ledger.load_grants_by_id(session, book, (part.grant_id for part in slices))
        posted = refund(
            book,
            book.wallets[wallet_id],
            original,
            amount=amount,
            slices=slices,
            refunds=refunds,
            refund_slices=given,
            note=note,
        )
        await self._locker.write(session, book)
        return await self._view(session, posted)

    async def charge_back(self, session: AsyncSession, transaction_id: str, *, note: Note) -> list[CreditTransaction]:
        """Undo a purchase whose payment was reversed; doing it again changes nothing.

        Raises:
            UnknownTransferError, InvalidError: no such purchase.
            KeyConflictError: the operation key was used for something else.
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
        await self._locker.write(session, book)
        return [await self._view(session, transfer) for transfer in posted]

    async def adjust(self, session: AsyncSession, owner_id: str, *, amount: int, note: Note) -> CreditTransaction:
        """Correct a balance by hand, up or down.

        Raises:
            UnknownWalletError: nobody of that id was seen yet.
            InvalidError: 0 is no adjustment.
            InsufficientCreditsError: down by more than is free.
            KeyConflictError: the operation key was used for something else.
        """
        note = await self._signed(session, note)
        subject = (await self._subjects.find(session, [owner_id])).get(owner_id)
        if subject is None or not await self._ledger.has_wallet(session, subject.subject_id):
            raise UnknownWalletError(owner_id)
        book = await self._locker.lock(session, [subject.subject_id])
        wallet = book.wallets[subject.subject_id]
        done = await self._done(session, wallet.wallet_id, note)
        if done is not None:
            _require_same(note, is_adjustment(done, amount))
            return await self._view(session, done)
        await self._ledger.load_grants(session, book, [wallet.wallet_id])
        if note.operation_key is not None:
            await self._ledger.load_grants_by_key(session, book, [(wallet.wallet_id, note.operation_key)])
        posted = adjust(book, wallet, amount, note=note)
        await self._locker.write(session, book)
        return await self._view(session, posted)

    async def _signed(self, session: AsyncSession, note: Note) -> Note:
        """Return the note as it stands in the ledger, for ever."""
        actor, _ = required_words(note)
        return replace(note, actor=await self._subjects.append_only_actor(session, actor))

    async def _open(self, session: AsyncSession, transaction_id: str) -> tuple[int, Transfer, Book]:
        wallet_id, seq = transfer_position(transaction_id)
        original = await self._ledger.transfer(session, wallet_id, seq)
        if original is None:
            raise UnknownTransferError(transaction_id)
        return wallet_id, original, await self._locker.lock(session, [wallet_id])

    async def _done(self, session: AsyncSession, wallet_id: int, note: Note) -> Transfer | None:
        """Return the first transfer of the operation key, if it was used before."""
        if note.operation_key is None:
            return None
        return next(iter(await self._ledger.operation(session, wallet_id, note.operation_key)), None)

    async def _view(self, session: AsyncSession, transfer: Transfer) -> CreditTransaction:
        keys = [transfer.usage_key] if transfer.usage_key is not None else []
        return transaction_view(transfer, await self._ledger.charges(session, keys) if keys else {})


def required_words(note: Note) -> tuple[str, str]:
    """Return actor and reason of a correction, or raise `InvalidError`: nobody corrects without saying who and why."""
    if not (note.reason or "").strip():
        raise InvalidError("reason is required: say why, for whoever reads the ledger later", param="reason")
    if not note.actor:
        raise InvalidError("actor is required: say who corrects", param="actor")
    return note.actor, str(note.reason)


def _require_same(note: Note, same: bool) -> None:
    if not same:
        raise KeyConflictError(
            f"the operation key {note.operation_key!r} was used for another correction; take a new one",
            param="operation_key",
        )
