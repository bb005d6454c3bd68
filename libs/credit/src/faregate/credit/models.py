"""Tables of the ledger; amounts are integer micro-credits."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

from faregate.core.db.schema import SCHEMA
from faregate.core.models import TableModel, created_at, moment

__all__ = [
    "ChargeRow",
    "CreditGrantRow",
    "GrantSliceRow",
    "SpendLimitRow",
    "TopUpRow",
    "TransferReasonRow",
    "TransferRow",
    "VerifiedHeadRow",
    "WalletRow",
]

_HOT: dict[str, Any] = {
    "fillfactor": 70,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_analyze_scale_factor": 0.02,
}


def _micros(default: str | None = "0") -> "Column[Any]":
    return Column(BigInteger, nullable=False, server_default=text(default) if default else None)


def _wallet_id(*, primary_key: bool = False) -> "Column[Any]":
    """Refer to a wallet. The hot tables have no foreign key: wallets are never deleted, and `verify` checks the references."""
    return Column(BigInteger, nullable=False, primary_key=primary_key, autoincrement=False)


class WalletRow(TableModel, table=True):
    """One wallet: the row to lock, the cached counters and the head of the hash chain. Its id is the owner's subject id."""

    __table_args__: Any = (
        CheckConstraint(
            "credits >= 0 and debits >= 0 and held >= 0 and earmarked >= 0 and debt >= 0 and credit_limit >= 0",
            name="not_negative",
        ),
        CheckConstraint(
            "credits + credit_limit + clawback_debt - debits - held - earmarked >= 0", name="never_overspent"
        ),
        Index("wallet_next_change_idx", "next_change_at", postgresql_where=text("next_change_at is not null")),
        {"postgresql_with": _HOT},
    )

    wallet_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey(f"{SCHEMA}.subject.subject_id"), primary_key=True, autoincrement=False)
    )
    credits: int = Field(sa_column=_micros())
    debits: int = Field(sa_column=_micros())
    held: int = Field(sa_column=_micros())
    earmarked: int = Field(sa_column=_micros())
    debt: int = Field(sa_column=_micros())
    clawback_debt: int = Field(sa_column=_micros())
    credit_limit: int = Field(sa_column=_micros())
    status: int = Field(sa_column=Column(SmallInteger, nullable=False, server_default=text("1")))
    plan: str | None = Field(sa_column=Column(Text))
    low_balance: int | None = Field(sa_column=Column(BigInteger))
    top_up_below: int | None = Field(sa_column=Column(BigInteger))
    top_up_amount: int | None = Field(sa_column=Column(BigInteger))
    top_up_order: UUID | None = Field(sa_column=Column(Uuid))
    top_up_not_before: datetime | None = Field(sa_column=moment(nullable=True))
    next_change_at: datetime | None = Field(sa_column=moment(nullable=True))
    last_seq: int = Field(sa_column=_micros())
    head_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    changed_at: datetime | None = Field(sa_column=moment(nullable=True))
    low_told_at: datetime | None = Field(sa_column=moment(nullable=True))
    exhausted_told_at: datetime | None = Field(sa_column=moment(nullable=True))
    created_at: datetime = Field(sa_column=created_at())


class CreditGrantRow(TableModel, table=True):
    """One grant (a lot of credits)."""

    __table_args__: Any = (
        CheckConstraint("amount > 0 and remaining >= 0 and held between 0 and remaining", name="amounts"),
        Index(
            "credit_grant_live_idx",
            "wallet_id",
            "priority",
            text("expires_at nulls last"),
            "burn_class",
            "created_at",
            "grant_id",
            postgresql_where=text("remaining > 0"),
        ),
        Index(
            "credit_grant_pending_idx",
            "wallet_id",
            postgresql_where=text("not voided and (not active or every is not null)"),
        ),
        Index("credit_grant_key_idx", "wallet_id", "key", unique=True, postgresql_where=text("key is not null")),
        Index("credit_grant_wallet_idx", "wallet_id", "created_at"),
        {"postgresql_with": {"fillfactor": 80}},
    )

    grant_id: UUID = Field(primary_key=True)
    wallet_id: int = Field(sa_column=Column(BigInteger, ForeignKey(f"{SCHEMA}.wallet.wallet_id"), nullable=False))
    source: str = Field(sa_column=Column(Text, nullable=False))
    burn_class: int = Field(sa_column=Column(SmallInteger, nullable=False))
    priority: int = Field(sa_column=Column(SmallInteger, nullable=False))
    amount: int = Field(sa_column=_micros(None))
    remaining: int = Field(sa_column=_micros())
    held: int = Field(sa_column=_micros())
    features: list[str] | None = Field(sa_column=Column(ARRAY(Text)))
    effective_at: datetime = Field(sa_column=moment())
    expires_at: datetime | None = Field(sa_column=moment(nullable=True))
    active: bool = Field(sa_column_kwargs={"server_default": text("false")})
    voided: bool = Field(sa_column_kwargs={"server_default": text("false")})
    every: str | None = Field(sa_column=Column(Text))
    rollover_min: int = Field(sa_column=_micros())
    rollover_max: int = Field(sa_column=_micros())
    next_renewal_at: datetime | None = Field(sa_column=moment(nullable=True))
    key: str | None = Field(sa_column=Column(Text))
    meaning_hash: bytes | None = Field(sa_column=Column(LargeBinary))
    actor: str | None = Field(sa_column=Column(Text))
    reason: str | None = Field(sa_column=Column(Text))
    void_note: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    created_at: datetime = Field(sa_column=created_at())


class ChargeRow(TableModel, table=True):
    """One use of a feature: its hold and its outcome. There is one row per usage key, which is never deleted."""

    __table_args__: Any = (
        CheckConstraint("status between 0 and 3 and (status = 0) = (closed_at is null)", name="status"),
        CheckConstraint("hold >= 0 and consumed >= 0 and charged >= 0 and shortfall >= 0", name="not_negative"),
        Index("charge_open_idx", "wallet_id", "expires_at", postgresql_where=text("status = 0")),
        Index("charge_subject_idx", "subject_id", text("created_at desc")),
        {"postgresql_with": _HOT},
    )

    usage_key: str = Field(sa_column=Column(Text, primary_key=True))
    wallet_id: int = Field(sa_column=_wallet_id())
    subject_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    organization_id: int | None = Field(sa_column=Column(BigInteger))
    feature_key: str = Field(sa_column=Column(Text, nullable=False))
    rule: str = Field(sa_column=Column(Text, nullable=False))
    status: int = Field(sa_column=Column(SmallInteger, nullable=False))
    hold: int = Field(sa_column=_micros())
    hold_grants: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    expires_at: datetime | None = Field(sa_column=moment(nullable=True))
    start_hash: bytes | None = Field(sa_column=Column(LargeBinary))
    meaning_hash: bytes | None = Field(sa_column=Column(LargeBinary))
    consumed: int = Field(sa_column=_micros())
    charged: int = Field(sa_column=_micros())
    shortfall: int = Field(sa_column=_micros())
    flags: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    first_seq: int | None = Field(sa_column=Column(BigInteger))
    balance_after: int | None = Field(sa_column=Column(BigInteger))
    free_after: int | None = Field(sa_column=Column(BigInteger))
    duration_ms: int | None = Field(sa_column=Column(BigInteger))
    metadata_: dict[str, Any] | None = Field(sa_column=Column("metadata", JSONB))
    close_reason: str | None = Field(sa_column=Column(Text))
    limit_scopes: list[str] | None = Field(sa_column=Column(ARRAY(Text)))
    created_at: datetime = Field(sa_column=created_at())
    closed_at: datetime | None = Field(sa_column=moment(nullable=True))
    settled_at: datetime | None = Field(sa_column=moment(nullable=True))


class TransferRow(TableModel, table=True):
    """One movement of credits. Append-only: triggers reject UPDATE, DELETE and TRUNCATE."""

    __table_args__: Any = (
        CheckConstraint("amount > 0 and debit_account <> credit_account", name="moves"),
        Index("transfer_effective_idx", "effective_at", postgresql_using="brin"),
        Index("transfer_corrects_idx", "wallet_id", "corrects_seq", postgresql_where=text("corrects_seq is not null")),
        Index(
            "transfer_operation_idx",
            "wallet_id",
            "operation_key",
            "kind",
            unique=True,
            postgresql_where=text("operation_key is not null"),
        ),
    )

    wallet_id: int = Field(sa_column=_wallet_id(primary_key=True))
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    kind: int = Field(sa_column=Column(SmallInteger, nullable=False))
    debit_account: int = Field(sa_column=Column(SmallInteger, nullable=False))
    credit_account: int = Field(sa_column=Column(SmallInteger, nullable=False))
    amount: int = Field(sa_column=_micros(None))
    balance_after: int = Field(sa_column=_micros(None))
    corrects_seq: int | None = Field(sa_column=Column(BigInteger))
    usage_key: str | None = Field(sa_column=Column(Text))
    operation_key: str | None = Field(sa_column=Column(Text))
    actor: str | None = Field(sa_column=Column(Text))
    reason: str | None = Field(sa_column=Column(Text))
    effective_at: datetime = Field(sa_column=moment())
    created_at: datetime = Field(sa_column=moment())
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class TransferReasonRow(TableModel, table=True):
    """The text of a transfer's reason. The transfer holds its seal; an erasure may delete the text."""

    wallet_id: int = Field(sa_column=_wallet_id(primary_key=True))
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    salt: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    words: str = Field(sa_column=Column(Text, nullable=False))


class GrantSliceRow(TableModel, table=True):
    """The amount that one transfer added to a grant (positive) or took from it (negative). Append-only."""

    __table_args__: Any = (CheckConstraint("amount <> 0", name="moves"),)

    wallet_id: int = Field(sa_column=_wallet_id(primary_key=True))
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    grant_id: UUID = Field(primary_key=True)
    amount: int = Field(sa_column=_micros(None))


class SpendLimitRow(TableModel, table=True):
    """Spending limit of a scope (`member:<organisation>:<user>`, `user:<subject>`, `key:<id>`) in a period."""

    __table_args__: Any = (
        CheckConstraint("soft >= 0 and hard >= 0 and spent >= 0 and held >= 0", name="not_negative"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    scope: str = Field(sa_column=Column(Text, primary_key=True))
    period: str = Field(sa_column=Column(Text, primary_key=True))
    soft: int | None = Field(sa_column=Column(BigInteger))
    hard: int | None = Field(sa_column=Column(BigInteger))
    started_at: datetime = Field(sa_column=moment())
    spent: int = Field(sa_column=_micros())
    held: int = Field(sa_column=_micros())


class TopUpRow(TableModel, table=True):
    """An automatic top-up order and its status: requested, paid or declined."""

    __table_args__: Any = (
        Index("top_up_open_idx", "created_at", postgresql_where=text("status = 'requested'")),
        Index("top_up_wallet_idx", "wallet_id", "created_at"),
    )

    order_id: UUID = Field(primary_key=True)
    wallet_id: int = Field(sa_column=_wallet_id())
    amount: int = Field(sa_column=_micros(None))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'requested'")))
    reference: str | None = Field(sa_column=Column(Text))
    detail: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=created_at())
    closed_at: datetime | None = Field(sa_column=moment(nullable=True))


class VerifiedHeadRow(TableModel, table=True):
    """The last verified head of a wallet's chain and the totals at it: where the next incremental run begins."""

    wallet_id: int = Field(sa_column=_wallet_id(primary_key=True))
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    credits: int = Field(sa_column=_micros(None))
    debits: int = Field(sa_column=_micros(None))
    remaining: int = Field(sa_column=_micros(None))
    grants: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    verified_at: datetime = Field(sa_column=created_at())
