"""Lookups for operators: open holds, a transaction and its grants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.credit.errors import UnknownTransferError
from faregate.credit.ledger.states import ChargeState
from faregate.credit.storage.lookup_sql import ALL_WALLETS, GRANTS_BEHIND, OPEN_HOLDS
from faregate.credit.storage.repository import LedgerRepository
from faregate.credit.values import CreditTransaction, transaction_view, transfer_position
from faregate.wire.credits import to_credits

__all__ = ["AllWallets", "GrantPart", "LedgerLookups", "OpenHold"]


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A use that has started and not ended. `payer_id` owns the wallet that holds `credits`."""

    usage_key: str
    user_id: str
    payer_id: str
    feature_key: str
    charging: str
    credits: Decimal
    expires_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GrantPart:
    """What a transaction took from one grant (negative) or gave to it."""

    grant_id: UUID
    credits: Decimal
    source: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class AllWallets:
    """All wallets together at one moment, in credits: `held` and `earmarked` are parts of `balance`."""

    wallets: int
    balance: Decimal
    held: Decimal
    earmarked: Decimal
    debt: Decimal
    at: datetime


class LedgerLookups:
    """Reads for people who look after wallets; changes nothing."""

    def __init__(self, database: Database, repository: LedgerRepository) -> None:
        self._database = database
        self._ledger = repository

    async def open_holds(
        self,
        *,
        user_id: str | None = None,
        feature_key: str | None = None,
        after: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> Sequence[OpenHold]:
        """Return the open holds of a user (or of the wallet that pays) and a feature, the first to expire first."""
        async with self._database.reading() as session:
            rows = await self._database.rows(
                session,
                OPEN_HOLDS,
                user_id=user_id,
                feature_key=feature_key,
                after_at=after[0] if after else None,
                after_key=after[1] if after else None,
                limit=limit,
            )
        return [
            OpenHold(
                row.usage_key,
                row.user_id,
                row.payer_id,
                row.feature_key,
                row.rule,
                to_credits(row.hold),
                row.expires_at,
                row.created_at,
            )
            for row in rows
        ]

    async def transaction(self, transaction_id: str) -> tuple[CreditTransaction, Sequence[GrantPart]]:
        """Return a transaction and the grants that it took from or gave to, or raise `UnknownTransferError`."""
        wallet_id, seq = transfer_position(transaction_id)
        async with self._database.transaction(read_only=True) as session:
            transfer = await self._ledger.transfer(session, wallet_id, seq)
            if transfer is None:
                raise UnknownTransferError(transaction_id)
            charges = await self._charges(session, transfer.usage_key)
            parts = await self._database.rows(session, GRANTS_BEHIND, wallet_id=wallet_id, seq=seq)
        found = [GrantPart(row.grant_id, to_credits(row.amount), row.source, row.expires_at) for row in parts]
        return transaction_view(transfer, charges), found

    async def all_wallets(self) -> AllWallets:
        """Return the sums over all wallets now, as the wallets are stored: what falls due with time is posted later."""
        async with self._database.reading() as session:
            (row,) = await self._database.rows(session, ALL_WALLETS)
        return AllWallets(
            wallets=row.wallets,
            balance=to_credits(row.balance),
            held=to_credits(row.held),
            earmarked=to_credits(row.earmarked),
            debt=to_credits(row.debt),
            at=row.at,
        )

    async def _charges(self, session: AsyncSession, usage_key: str | None) -> Mapping[str, ChargeState]:
        return await self._ledger.charges(session, [usage_key]) if usage_key is not None else {}
