"""Conversion of ledger states to database rows; the inverse of `row_reader`."""

from collections.abc import Sequence
from typing import Any

from faregate.core.redaction.scrubbing import clean_metadata, clean_text
from faregate.credit.ledger.book import Book
from faregate.credit.ledger.limits import LimitState
from faregate.credit.ledger.states import (
    ChargeState,
    ChargeStatus,
    GrantSlice,
    GrantState,
    Transfer,
    TransferNote,
    WalletState,
)
from faregate.wire import exact_json

__all__ = ["COLUMNS", "arrays_of", "rows_of"]

COLUMNS = {
    part: names.split()
    for part, names in {
        "w": "wallet_id credits debits held earmarked debt clawback_debt credit_limit status plan low_balance top_up_below "
        "top_up_amount top_up_order top_up_not_before next_change_at last_seq head_hash changed_at low_told_at exhausted_told_at",
        "h": "usage_key wallet_id subject_id organization_id feature_key rule hold hold_grants expires_at start_hash "
        "metadata created_at limit_scopes",
        "c": "usage_key wallet_id subject_id organization_id feature_key rule status hold hold_grants expires_at "
        "start_hash meaning_hash consumed charged shortfall flags first_seq balance_after free_after duration_ms metadata "
        "close_reason created_at closed_at settled_at limit_scopes",
        "g": "grant_id wallet_id source burn_class priority amount remaining held features effective_at expires_at "
        "active voided every rollover_min rollover_max next_renewal_at key meaning_hash actor reason void_note created_at",
        "t": "wallet_id seq kind debit_account credit_account amount balance_after corrects_seq usage_key operation_key "
        "actor reason effective_at created_at hash",
        "r": "wallet_id seq salt words",
        "s": "wallet_id seq grant_id amount",
        "l": "scope period soft hard started_at spent held",
        "o": "order_id wallet_id amount",
    }.items()
}


def rows_of(book: Book) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows to write by kind (the letters of `sql.WRITES`), in the order of `COLUMNS`."""
    charges = book.changed_charges.values()
    tables: dict[str, list[tuple[Any, ...]]] = {
        "w": [_wallet_row(wallet) for wallet in book.changed_wallets.values()],
        "h": [_hold_row(charge) for charge in charges if charge.status is ChargeStatus.OPEN],
        "c": [_charge_row(charge) for charge in charges if charge.status is not ChargeStatus.OPEN],
        "g": [_grant_row(grant) for grant in book.changed_grants.values()],
        "t": [_transfer_row(transfer) for transfer in book.transfers],
        "r": [(t.wallet_id, t.seq, t.salt, t.reason) for t in book.transfers if t.reason is not None],
        "s": [_slice_row(part) for part in book.slices],
        "l": [_limit_row(limit) for limit in book.changed_limits.values()],
        "o": [(order.order_id, order.wallet_id, order.amount) for order in book.top_ups],
    }
    return {part: rows for part, rows in tables.items() if rows}


def arrays_of(part: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Return the rows of one kind as parameters of its statement: one array per column."""
    columns = zip(*rows, strict=True)
    return {f"{part}_{name}": list(values) for name, values in zip(COLUMNS[part], columns, strict=True)}


def _wallet_row(wallet: WalletState) -> tuple[Any, ...]:
    return (
        wallet.wallet_id,
        wallet.credits,
        wallet.debits,
        wallet.held,
        wallet.earmarked,
        wallet.debt,
        wallet.clawback_debt,
        wallet.credit_limit,
        int(wallet.status),
        wallet.plan,
        wallet.low_balance,
        wallet.top_up_below,
        wallet.top_up_amount,
        wallet.top_up_order,
        wallet.top_up_not_before,
        wallet.next_change_at,
        wallet.last_seq,
        wallet.head_hash,
        wallet.changed_at,
        wallet.low_told_at,
        wallet.exhausted_told_at,
    )


def _hold_row(charge: ChargeState) -> tuple[Any, ...]:
    return (
        charge.usage_key,
        charge.wallet_id,
        charge.subject_id,
        charge.organization_id,
        charge.feature_key,
        charge.rule,
        charge.hold,
        _hold_grants(charge),
        charge.expires_at,
        charge.start_hash,
        _metadata(charge),
        charge.created_at,
        _scopes(charge),
    )


def _charge_row(charge: ChargeState) -> tuple[Any, ...]:
    return (
        charge.usage_key,
        charge.wallet_id,
        charge.subject_id,
        charge.organization_id,
        charge.feature_key,
        charge.rule,
        int(charge.status),
        charge.hold,
        _hold_grants(charge),
        charge.expires_at,
        charge.start_hash,
        charge.meaning_hash,
        charge.consumed,
        charge.charged,
        charge.shortfall,
        int(charge.flags),
        charge.first_seq,
        charge.balance_after,
        charge.free_after,
        charge.duration_ms,
        _metadata(charge),
        _close_reason(charge),
        charge.created_at,
        charge.closed_at,
        charge.settled_at,
        _scopes(charge),
    )


def _grant_row(grant: GrantState) -> tuple[Any, ...]:
    renewal = grant.renewal
    return (
        grant.grant_id,
        grant.wallet_id,
        grant.source.value,
        grant.burn_class,
        grant.priority,
        grant.amount,
        grant.remaining,
        grant.held,
        " ".join(grant.features) if grant.features is not None else None,
        grant.effective_at,
        grant.expires_at,
        grant.active,
        grant.voided,
        renewal.every if renewal else None,
        renewal.rollover_min if renewal else 0,
        renewal.rollover_max if renewal else 0,
        renewal.next_at if renewal else None,
        grant.key,
        grant.meaning_hash,
        grant.actor,
        grant.reason,
        _void_note(grant.void_note),
        grant.created_at,
    )


def _void_note(note: TransferNote | None) -> str | None:
    return _json({name: getattr(note, name) for name in ("corrects_seq", "actor", "reason")}) if note else None


def _transfer_row(transfer: Transfer) -> tuple[Any, ...]:
    return (
        transfer.wallet_id,
        transfer.seq,
        int(transfer.kind),
        int(transfer.debit),
        int(transfer.credit),
        transfer.amount,
        transfer.balance_after,
        transfer.corrects_seq,
        transfer.usage_key,
        transfer.operation_key,
        transfer.actor,
        transfer.seal,
        transfer.effective_at,
        transfer.created_at,
        transfer.hash,
    )


def _slice_row(part: GrantSlice) -> tuple[Any, ...]:
    return (part.wallet_id, part.seq, part.grant_id, part.amount)


def _limit_row(limit: LimitState) -> tuple[Any, ...]:
    return (limit.scope, limit.period.value, limit.soft, limit.hard, limit.started_at, limit.spent, limit.held)


def _hold_grants(charge: ChargeState) -> str | None:
    return _json({str(key): value for key, value in charge.hold_grants.items()}) if charge.hold_grants else None


def _metadata(charge: ChargeState) -> str | None:
    new = charge.metadata is not charge.read_metadata
    return _json(clean_metadata(charge.metadata)) if charge.metadata and new else None


def _close_reason(charge: ChargeState) -> str | None:
    new = charge.close_reason is not charge.read_reason
    return clean_text(charge.close_reason) if charge.close_reason and new else None


def _scopes(charge: ChargeState) -> str | None:
    return " ".join(charge.limit_scopes) or None


def _json(value: Any) -> str:
    return exact_json.dumps(value).decode()
