"""Conversion of database rows to ledger states; the inverse of `row_writer`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from faregate.core.errors import RetryTransactionError
from faregate.credit.ledger.accounts import Account, GrantSource, TransferKind
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.limits import LimitPeriod, LimitState
from faregate.credit.ledger.reasons import SEALED
from faregate.credit.ledger.states import (
    NO_FLAGS,
    ChargeState,
    ChargeStatus,
    Flag,
    GrantSlice,
    GrantState,
    Renewal,
    Transfer,
    TransferNote,
    WalletState,
    WalletStatus,
)

__all__ = ["book_of", "charge_of", "grant_of", "limit_of", "slice_of", "take_grants", "transfer_of"]

_WALLET_STATUSES = {int(status): status for status in WalletStatus}
_CHARGE_STATUSES = {int(status): status for status in ChargeStatus}
_GRANT_SOURCES = {source.value: source for source in GrantSource}


def book_of(rows: Sequence[Any]) -> Book:
    """Return the book of these wallet rows; their column `now` is the moment of the transaction."""
    if not rows:
        raise RetryTransactionError("none of the wallets exists; the transaction that created them was rolled back")
    return Book(max(row.now for row in rows), (wallet_of(row) for row in rows))


def wallet_of(row: Any) -> WalletState:
    """Return the wallet of a row of `sql.WALLET_COLUMNS`, which the moment `now` follows.

    One assignment takes a row apart in a quarter of the time of several, which would make a list each.
    """
    (wallet_id, credits, debits, held, earmarked, debt, clawback_debt, credit_limit, status, plan, low_balance, top_up_below,
     top_up_amount, top_up_order, top_up_not_before, next_change_at, last_seq, head_hash, changed_at, low_told_at,
     exhausted_told_at, _) = row  # fmt: skip
    return WalletState(
        wallet_id=wallet_id,
        credits=credits,
        debits=debits,
        held=held,
        earmarked=earmarked,
        debt=debt,
        clawback_debt=min(clawback_debt, debt),  # a process of an earlier release may have repaid the debt alone
        credit_limit=credit_limit,
        status=_WALLET_STATUSES[status],
        plan=plan,
        low_balance=low_balance,
        top_up_below=top_up_below,
        top_up_amount=top_up_amount,
        top_up_order=top_up_order,
        top_up_not_before=top_up_not_before,
        next_change_at=next_change_at,
        last_seq=last_seq,
        head_hash=head_hash,
        changed_at=changed_at,
        low_told_at=low_told_at,
        exhausted_told_at=exhausted_told_at,
    )


def charge_of(row: Any) -> ChargeState:
    """Return the charge of a row of `sql.CHARGE_COLUMNS`."""
    (usage_key, wallet_id, subject_id, organization_id, feature_key, rule, status, hold, hold_grants, expires_at, start_hash,
     meaning_hash, consumed, charged, shortfall, flags, first_seq, balance_after, free_after, duration_ms, metadata,
     close_reason, created_at, closed_at, settled_at, scopes) = row  # fmt: skip
    return ChargeState(
        usage_key=usage_key,
        wallet_id=wallet_id,
        subject_id=subject_id,
        organization_id=organization_id,
        feature_key=feature_key,
        rule=rule,
        start_hash=start_hash,
        created_at=created_at,
        status=_CHARGE_STATUSES[status],
        hold=hold,
        hold_grants=_hold_grants(hold_grants) if hold_grants else {},
        expires_at=expires_at,
        closed_at=closed_at,
        close_reason=close_reason,
        read_reason=close_reason,
        settled_at=settled_at,
        meaning_hash=meaning_hash,
        consumed=consumed,
        charged=charged,
        shortfall=shortfall,
        flags=Flag(flags) if flags else NO_FLAGS,
        first_seq=first_seq,
        balance_after=balance_after,
        free_after=free_after,
        duration_ms=duration_ms,
        metadata=metadata,
        read_metadata=metadata,
        limit_scopes=tuple(scopes) if scopes else (),
    )


def grant_of(row: Any) -> GrantState:
    """Return the grant of a row of `sql.GRANT_COLUMNS`."""
    (grant_id, wallet_id, source, priority, amount, remaining, held, features, effective_at, expires_at, active, voided, every,
     rollover_min, rollover_max, next_at, key, meaning_hash, actor, reason, void_note, created_at) = row  # fmt: skip
    return GrantState(
        grant_id=_uuid(grant_id),
        wallet_id=wallet_id,
        source=_GRANT_SOURCES[source],
        priority=priority,
        amount=amount,
        remaining=remaining,
        held=held,
        features=tuple(features) if features is not None else None,
        effective_at=effective_at,
        expires_at=expires_at,
        active=active,
        voided=voided,
        renewal=Renewal(every, rollover_min, rollover_max, next_at) if every is not None else None,
        key=key,
        meaning_hash=meaning_hash,
        actor=actor,
        reason=reason,
        void_note=TransferNote(**void_note) if void_note is not None else None,
        created_at=created_at,
    )


def transfer_of(row: Any) -> Transfer:
    """Return the transfer of a row."""
    return Transfer(
        wallet_id=row.wallet_id,
        seq=row.seq,
        kind=TransferKind(row.kind),
        debit=Account(row.debit_account),
        credit=Account(row.credit_account),
        amount=row.amount,
        balance_after=row.balance_after,
        usage_key=row.usage_key,
        corrects_seq=row.corrects_seq,
        operation_key=row.operation_key,
        actor=row.actor,
        reason=row.words if (row.reason or "").startswith(SEALED) else row.reason,
        salt=b"",
        seal=row.reason,
        effective_at=row.effective_at,
        created_at=row.created_at,
        hash=row.hash,
    )


def take_grants(book: Book, rows: Iterable[Any]) -> None:
    """Add grants to the book, except those already in it (their state is newer than the row)."""
    for row in rows:
        grant = grant_of(row)
        if grant.wallet_id in book.wallets:
            book.wallets[grant.wallet_id].grants.setdefault(grant.grant_id, grant)


def _uuid(value: Any) -> UUID:
    return UUID(bytes=value.bytes)  # the driver's own UUID class compares equal, but is slower to hash


def _hold_grants(value: Mapping[str, int]) -> dict[UUID, int]:
    return {UUID(key): amount for key, amount in value.items()}


def limit_of(row: Any) -> LimitState:
    """Return the limit of a row."""
    return LimitState(row.scope, LimitPeriod(row.period), row.soft, row.hard, row.started_at, row.spent, row.held)


def slice_of(row: Any) -> GrantSlice:
    """Return the grant slice of a row."""
    return GrantSlice(row.wallet_id, row.seq, _uuid(row.grant_id), row.amount)
