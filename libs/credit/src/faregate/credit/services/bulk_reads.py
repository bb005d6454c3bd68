"""Reads of many wallets or uses at once.

Each takes a fixed number of statements, however many wallets or uses are asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.db.subjects import Subject
from faregate.credit.ledger.states import ChargeState
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.storage.bulk_sql import LATEST_TRANSFERS, LIVE_GRANTS, OWNERS, TRANSFERS_OF_CHARGES
from faregate.credit.storage.repository import LedgerRepository
from faregate.credit.storage.row_reader import grant_of, transfer_of
from faregate.credit.values import CreditTransaction, Grant, Wallet, grant_view, transaction_view, wallet_view

__all__ = ["BulkReads"]

_GRANTS_PER_WALLET = 1000
_ANY_SEQ = 2**62


class BulkReads:
    """Reads wallets, grants and transactions of many owners or uses. Works in the caller's transaction."""

    def __init__(self, database: Database, repository: LedgerRepository, ledger_session: LedgerSession) -> None:
        self._database = database
        self._ledger = repository
        self._ledger_session = ledger_session

    async def wallets(self, session: AsyncSession, owner_ids: Iterable[str]) -> Mapping[str, Wallet]:
        """Return the wallets of these owners as of now, without their grants; owners without one are left out."""
        subjects = await self._owners(session, owner_ids)
        if not subjects:
            return {}
        book = await self._ledger_session.all_matured(session, [subject.subject_id for subject in subjects])
        return {
            each.external_id: wallet_view(book.wallets[each.subject_id], owner_id=each.external_id, email=each.email)
            for each in subjects
        }

    async def live_grants(self, session: AsyncSession, owner_ids: Iterable[str]) -> Mapping[str, Sequence[Grant]]:
        """Return the live grants of these owners' wallets, oldest first."""
        subjects = await self._owners(session, owner_ids)
        if not subjects:
            return {}
        now = await self._mature(session, subjects)
        ids = [subject.subject_id for subject in subjects]
        rows = await self._database.rows(session, LIVE_GRANTS, ids=ids, limit=_GRANTS_PER_WALLET)
        found: dict[int, list[Grant]] = {}
        for row in rows:
            grant = grant_of(row)
            found.setdefault(grant.wallet_id, []).append(grant_view(grant, now=now))
        return {subject.external_id: found.get(subject.subject_id, []) for subject in subjects}

    async def transactions(
        self, session: AsyncSession, owner_ids: Iterable[str], *, before: int | None = None, limit: int
    ) -> Mapping[str, Sequence[CreditTransaction]]:
        """Return the latest transactions of these owners' wallets, newest first, at most `limit` of each."""
        subjects = await self._owners(session, owner_ids)
        if not subjects:
            return {}
        await self._mature(session, subjects)
        ids = [subject.subject_id for subject in subjects]
        befores = [before if before is not None else _ANY_SEQ] * len(ids)
        rows = await self._database.rows(session, LATEST_TRANSFERS, ids=ids, befores=befores, limit=limit)
        transfers = sorted(map(transfer_of, rows), key=lambda transfer: -transfer.seq)
        keys = {transfer.usage_key for transfer in transfers if transfer.usage_key is not None}
        charges: Mapping[str, ChargeState] = await self._ledger.charges(session, keys) if keys else {}
        found: dict[int, list[CreditTransaction]] = {}
        for transfer in transfers:
            found.setdefault(transfer.wallet_id, []).append(transaction_view(transfer, charges))
        return {subject.external_id: found.get(subject.subject_id, []) for subject in subjects}

    async def transactions_of(
        self, session: AsyncSession, charges: Iterable[ChargeState]
    ) -> Mapping[str, Sequence[CreditTransaction]]:
        """Return the transactions of these uses by usage key, corrections included, in order."""
        posted = {charge.usage_key: charge for charge in charges if charge.first_seq is not None}
        if not posted:
            return {}
        rows = await self._database.rows(
            session,
            TRANSFERS_OF_CHARGES,
            ids=[charge.wallet_id for charge in posted.values()],
            firsts=[charge.first_seq for charge in posted.values()],
            keys=list(posted),
        )
        found: dict[str, list[CreditTransaction]] = {}
        for transfer in map(transfer_of, rows):
            found.setdefault(str(transfer.usage_key), []).append(transaction_view(transfer, posted))
        return found

    async def _owners(self, session: AsyncSession, owner_ids: Iterable[str]) -> list[Subject]:
        rows = await self._database.rows(session, OWNERS, owner_ids=sorted(set(owner_ids)))
        return [Subject(row.wallet_id, row.external_id, row.email) for row in rows]

    async def _mature(self, session: AsyncSession, subjects: Sequence[Subject]) -> datetime:
        book = await self._ledger_session.all_matured(session, [subject.subject_id for subject in subjects])
        return book.now
