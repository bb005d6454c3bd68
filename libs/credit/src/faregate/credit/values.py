"""Wallets, grants, transactions and charges as the services return them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from faregate.credit.errors import UnknownTransferError
from faregate.credit.ledger.accounts import Account, TransferKind
from faregate.credit.ledger.states import ChargeState, GrantState, Transfer, WalletState
from faregate.wire.credits import to_credits

__all__ = [
    "Charge",
    "CreditTransaction",
    "Grant",
    "Wallet",
    "charge_view",
    "grant_view",
    "transaction_id",
    "transaction_view",
    "wallet_view",
]


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet at one moment. `free` = balance + credit_limit - held - earmarked; `balance` includes held credits."""

    owner_id: str
    email: str | None
    balance: Decimal
    held: Decimal
    earmarked: Decimal
    free: Decimal
    credit_limit: Decimal
    debt: Decimal
    status: str
    plan: str | None
    low_balance: Decimal | None
    top_up_below: Decimal | None
    top_up_credits: Decimal | None
    grants: tuple["Grant", ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant at one moment; `status` is scheduled, active, spent, expired or voided."""

    id: str
    credits: Decimal
    remaining: Decimal
    source: str
    priority: int
    status: str
    effective_at: datetime
    expires_at: datetime | None
    features: tuple[str, ...] | None
    every: str | None
    renews_at: datetime | None
    key: str | None
    reason: str | None
    actor: str | None
    voided_by: str | None
    void_reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CreditTransaction:
    """A transfer as its owner sees it: `amount` is signed, `balance` is the balance after it."""

    id: str
    kind: str
    amount: Decimal
    balance: Decimal
    usage_key: str | None
    feature_key: str | None
    corrects: str | None
    reason: str | None
    actor: str | None
    executed_at: datetime


@dataclass(frozen=True, slots=True)
class Charge:
    """One use: its hold and its outcome. `credits_consumed` is the price, `credits_charged` is what was paid."""

    usage_key: str
    feature_key: str
    rule: str
    status: str
    hold: Decimal
    expires_at: datetime | None
    credits_consumed: Decimal
    credits_charged: Decimal
    shortfall: Decimal
    flags: tuple[str, ...]
    reason: str | None
    duration_ms: int | None
    metadata: Mapping[str, Any] | None
    created_at: datetime
    closed_at: datetime | None
    settled_at: datetime | None


def wallet_view(
    wallet: WalletState, *, owner_id: str, email: str | None = None, grants: tuple[Grant, ...] = ()
) -> Wallet:
    """Return `wallet` in credits."""
    return Wallet(
        owner_id=owner_id,
        email=email,
        balance=to_credits(wallet.balance),
        held=to_credits(wallet.held),
        earmarked=to_credits(wallet.earmarked),
        free=to_credits(wallet.free),
        credit_limit=to_credits(wallet.credit_limit),
        debt=to_credits(wallet.debt),
        status=wallet.status.name.lower(),
        plan=wallet.plan,
        low_balance=_optional(wallet.low_balance),
        top_up_below=_optional(wallet.top_up_below),
        top_up_credits=_optional(wallet.top_up_amount),
        grants=grants,
    )


def grant_view(grant: GrantState, *, now: datetime) -> Grant:
    """Return `grant` in credits, with its status at `now`."""
    return Grant(
        id=str(grant.grant_id),
        credits=to_credits(grant.amount),
        remaining=to_credits(grant.remaining),
        source=grant.source.value,
        priority=grant.priority,
        status=_grant_status(grant, now),
        effective_at=grant.effective_at,
        expires_at=grant.expires_at,
        features=grant.features,
        every=grant.renewal.every if grant.renewal else None,
        renews_at=grant.renewal.next_at if grant.renewal else None,
        key=grant.key,
        reason=grant.reason,
        actor=grant.actor,
        voided_by=grant.void_note.actor if grant.void_note else None,
        void_reason=grant.void_note.reason if grant.void_note else None,
        created_at=grant.created_at,
    )


def transaction_view(transfer: Transfer, charges: Mapping[str, ChargeState]) -> CreditTransaction:
    """Return `transfer` as its owner sees it; `charges` supplies the feature of transfers that belong to a use."""
    charge = charges.get(transfer.usage_key) if transfer.usage_key is not None else None
    return CreditTransaction(
        id=transaction_id(transfer.wallet_id, transfer.seq),
        kind=_transaction_kind(transfer),
        amount=to_credits(_change(transfer)),
        balance=to_credits(transfer.balance_after),
        usage_key=transfer.usage_key,
        feature_key=charge.feature_key if charge is not None else None,
        corrects=transaction_id(transfer.wallet_id, transfer.corrects_seq) if transfer.corrects_seq else None,
        reason=transfer.reason,
        actor=transfer.actor,
        executed_at=transfer.effective_at,
    )


def charge_view(charge: ChargeState) -> Charge:
    """Return `charge` in credits."""
    return Charge(
        usage_key=charge.usage_key,
        feature_key=charge.feature_key,
        rule=charge.rule,
        status=charge.status.name.lower(),
        hold=to_credits(charge.hold),
        expires_at=charge.expires_at,
        credits_consumed=to_credits(charge.consumed),
        credits_charged=to_credits(charge.charged),
        shortfall=to_credits(charge.shortfall),
        flags=tuple(charge.flags.words),
        reason=charge.close_reason,
        duration_ms=charge.duration_ms,
        metadata=charge.metadata,
        created_at=charge.created_at,
        closed_at=charge.closed_at,
        settled_at=charge.settled_at,
    )


def transaction_id(wallet_id: int, seq: int) -> str:
    """Return the public id of a transfer."""
    return f"{wallet_id}-{seq}"


def transfer_position(transaction: str) -> tuple[int, int]:
    """Return the wallet id and the sequence number of a public transaction id.

    Raises:
        UnknownTransferError: `transaction` is not a transaction id.
    """
    wallet_id, _, seq = transaction.partition("-")
    if not (wallet_id.isdecimal() and seq.isdecimal() and len(transaction) < 40):
        raise UnknownTransferError(transaction)
    return int(wallet_id), int(seq)


def _optional(micros: int | None) -> Decimal | None:
    return to_credits(micros) if micros is not None else None


def _change(transfer: Transfer) -> int:
    if transfer.credit is Account.WALLET:
        return transfer.amount
    return -transfer.amount if transfer.debit is Account.WALLET else 0


def _transaction_kind(transfer: Transfer) -> str:
    if transfer.kind is TransferKind.LIMIT_CHARGE:
        return "charge"
    if transfer.kind is TransferKind.CHARGEBACK_DEBT:
        return "chargeback"
    return transfer.kind.name.lower()


def _grant_status(grant: GrantState, now: datetime) -> str:
    if grant.voided:
        return "voided"
    if not grant.active:
        return "scheduled"
    if grant.lapsed(now):
        return "expired"
    return "active" if grant.remaining > 0 or grant.renewal is not None else "spent"
