"""Financial statements: balances at a moment, statements and ledger digest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.credit.ledger.accounts import Account, GrantSource, TransferKind, burn_class
from faregate.credit.services.ledger_session import LedgerSession
from faregate.credit.storage.service_sql import (
    ACCOUNTING_BALANCE_AT_SEQ,
    ACCOUNTING_HEADS,
    ACCOUNTING_SEQ_AT,
    ACCOUNTING_SUMS_OF_ALL,
    ACCOUNTING_SUMS_OF_WALLET,
)
from faregate.wire.credits import to_credits

__all__ = ["AccountStatement", "AccountingService", "Digest"]


_PAID_SOURCES = [source.value for source in GrantSource if burn_class(source)]


@dataclass(frozen=True, slots=True)
class AccountStatement:
    """Statement of one wallet, or of all, over a period; in credits, `since` included, `until` not.

    opening + granted - used - expired - voided + refunded + adjusted - charged_back = closing.

    Attributes:
        used: charged for uses, without shortfalls; `used_on_limit` is the part that the credit limit paid.
        charged_back: taken back because payments were reversed, less what was reinstated.
        shortfall: used but not covered: a loss.
        deferred_opening, deferred_closing: paid for and neither used nor expired (deferred revenue).
        breakage_paid: paid for and expired.
    """

    since: datetime
    until: datetime
    opening: Decimal
    granted: Mapping[str, Decimal]
    used: Decimal
    used_on_limit: Decimal
    expired: Decimal
    voided: Decimal
    refunded: Decimal
    adjusted: Decimal
    charged_back: Decimal
    shortfall: Decimal
    closing: Decimal
    deferred_opening: Decimal
    deferred_closing: Decimal
    breakage_paid: Decimal


@dataclass(frozen=True, slots=True)
class Digest:
    """One hash over the heads of all wallets' chains: stored elsewhere, it proves the ledger unchanged up to now."""

    wallets: int
    transfers: int
    digest: str


class AccountingService:
    """Reads the ledger for finance, in the caller's transaction; a wallet is brought up to date before it is read."""

    def __init__(self, database: Database, ledger_session: LedgerSession) -> None:
        self._database = database
        self._ledger_session = ledger_session

    async def balance_at(self, session: AsyncSession, wallet_id: int, moment: datetime) -> Decimal:
        """Return a wallet's balance just before `moment` (everything that took effect earlier counts)."""
        await self._ledger_session.matured(session, wallet_id)
        return to_credits(await self._balance(session, wallet_id, await self._seq_at(session, wallet_id, moment)))

    async def statement(
        self, session: AsyncSession, wallet_id: int | None, *, since: datetime, until: datetime
    ) -> AccountStatement:
        """Return the statement of one wallet, or (None) of all together.

        The statement of all wallets covers what has been posted: run a sweep first, or wait for the worker's next one.
        """
        if since >= until:
            raise InvalidError("until must be later than since", param="until")
        if wallet_id is None:
            return _statement(
                await self._sums(session, None, since), await self._sums(session, since, until), since, until
            )
        await self._ledger_session.matured(session, wallet_id)
        first = await self._seq_at(session, wallet_id, since)
        last = await self._seq_at(session, wallet_id, until)
        before = await self._wallet_sums(session, wallet_id, 0, first)
        return _statement(before, await self._wallet_sums(session, wallet_id, first, last), since, until)

    async def digest(self, session: AsyncSession) -> Digest:
        """Return one hash over the heads of all chains, in order of wallet ids."""
        found = sha256()
        wallets = transfers = 0
        for row in await self._database.rows(session, ACCOUNTING_HEADS):
            found.update(row.wallet_id.to_bytes(8, "big") + row.last_seq.to_bytes(8, "big") + row.head_hash)
            wallets += 1
            transfers += row.last_seq
        return Digest(wallets, transfers, found.hexdigest())

    async def _seq_at(self, session: AsyncSession, wallet_id: int, moment: datetime) -> int:
        rows = await self._database.rows(session, ACCOUNTING_SEQ_AT, wallet_id=wallet_id, moment=moment)
        return rows[0].seq if rows else 0

    async def _balance(self, session: AsyncSession, wallet_id: int, seq: int) -> int:
        rows = await self._database.rows(session, ACCOUNTING_BALANCE_AT_SEQ, wallet_id=wallet_id, seq=seq)
        return rows[0].balance_after if rows else 0

    async def _wallet_sums(self, session: AsyncSession, wallet_id: int, first: int, last: int) -> "_Sums":
        rows = await self._database.rows(
            session, ACCOUNTING_SUMS_OF_WALLET, wallet_id=wallet_id, first=first, last=last, paid_sources=_PAID_SOURCES
        )
        return _Sums(rows)

    async def _sums(self, session: AsyncSession, since: datetime | None, until: datetime) -> "_Sums":
        rows = await self._database.rows(
            session, ACCOUNTING_SUMS_OF_ALL, since=since, until=until, paid_sources=_PAID_SOURCES
        )
        return _Sums(rows)


class _Sums:
    """Sums of transfers by kind and accounts, and how much of them changed paid grants."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = [
            (
                TransferKind(row.kind),
                Account(row.debit_account),
                Account(row.credit_account),
                int(row.amount),
                int(row.paid),
            )
            for row in rows
        ]

    def of(self, *kinds: TransferKind, debit: Account | None = None, credit: Account | None = None) -> int:
        """Return the sum over these kinds, with this debit or credit account if given."""
        return sum(
            amount
            for kind, debited, credited, amount, _ in self._rows
            if kind in kinds and debit in {None, debited} and credit in {None, credited}
        )

    def paid(self, *kinds: TransferKind) -> int:
        """Return by how much transfers of these kinds (none: all) changed the paid grants."""
        return sum(paid for kind, _, _, _, paid in self._rows if not kinds or kind in kinds)

    @property
    def balance(self) -> int:
        """Return by how much the balance changed."""
        wallet = Account.WALLET
        return sum(a for _, _, c, a, _ in self._rows if c is wallet) - sum(
            a for _, d, _, a, _ in self._rows if d is wallet
        )


_GRANTED = {"purchase": Account.PURCHASES, "promotion": Account.PROMOTION}
_CHARGEBACKS = (TransferKind.CHARGEBACK, TransferKind.CHARGEBACK_DEBT)
_USES = (TransferKind.CHARGE, TransferKind.LIMIT_CHARGE, TransferKind.REPRICE)


def _statement(before: _Sums, during: _Sums, since: datetime, until: datetime) -> AccountStatement:
    up = during.of(TransferKind.GRANT, debit=Account.ADJUSTMENT)
    granted = {name: during.of(TransferKind.GRANT, debit=account) for name, account in _GRANTED.items()}
    return AccountStatement(
        since=since,
        until=until,
        opening=to_credits(before.balance),
        granted={name: to_credits(amount) for name, amount in granted.items()},
        used=to_credits(during.of(*_USES)),
        used_on_limit=to_credits(during.of(TransferKind.LIMIT_CHARGE)),
        expired=to_credits(during.of(TransferKind.EXPIRY)),
        voided=to_credits(during.of(TransferKind.GRANT_VOID)),
        refunded=to_credits(during.of(TransferKind.REFUND)),
        adjusted=to_credits(up - during.of(TransferKind.ADJUSTMENT)),
        charged_back=to_credits(during.of(*_CHARGEBACKS) - _reinstated(during, Account.WALLET)),
        shortfall=to_credits(during.of(TransferKind.SHORTFALL) - _reinstated(during, Account.SHORTFALL)),
        closing=to_credits(before.balance + during.balance),
        deferred_opening=to_credits(before.paid()),
        deferred_closing=to_credits(before.paid() + during.paid()),
        breakage_paid=to_credits(-during.paid(TransferKind.EXPIRY)),
    )


def _reinstated(sums: _Sums, account: Account) -> int:
    return sums.of(TransferKind.REINSTATEMENT, credit=account)
