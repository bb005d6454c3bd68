"""Tables of the monthly close."""

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
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from faregate.core.db.schema import SCHEMA
from faregate.core.models import TableModel, created_at, moment

__all__ = ["CloseGrantRow", "CloseRow", "CloseWalletRow", "GrantPaymentRow"]


def _number() -> "Column[Any]":
    return Column(BigInteger, nullable=False)


def _wallet_id(*, primary_key: bool = False) -> "Column[Any]":
    return Column(BigInteger, nullable=False, primary_key=primary_key, autoincrement=False)


class GrantPaymentRow(TableModel, table=True):
    """A payment for a grant (positive), or one returned (negative), in cents; `number` is the close to which it belongs."""

    __table_args__: Any = (
        CheckConstraint("cents <> 0", name="moves"),
        Index("grant_payment_open_idx", "paid_at", postgresql_where=text("number is null")),
        Index("grant_payment_wallet_idx", "wallet_id"),
    )

    grant_id: UUID = Field(sa_column=Column(Uuid, ForeignKey(f"{SCHEMA}.credit_grant.grant_id"), primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    wallet_id: int = Field(sa_column=_wallet_id())
    cents: int = Field(sa_column=_number())
    paid_at: datetime = Field(sa_column=moment())
    number: int | None = Field(sa_column=Column(Integer))
    recorded_at: datetime = Field(sa_column=created_at())


class CloseRow(TableModel, table=True):
    """A closed month: its bounds and totals, credits as micro-credits and money as cents. Append-only.

    Close 0 is the opening: everything that was posted before the first closed month.
    """

    __table_args__: Any = (UniqueConstraint("period"),)

    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    period: str = Field(sa_column=Column(Text, nullable=False))
    timezone: str = Field(sa_column=Column(Text, nullable=False))
    since: datetime | None = Field(sa_column=moment(nullable=True))
    until: datetime = Field(sa_column=moment())
    closed_at: datetime = Field(sa_column=moment())
    wallets: int = Field(sa_column=_number())
    transfers: int = Field(sa_column=_number())
    late: int = Field(sa_column=_number())
    unvalued: int = Field(sa_column=_number())
    opening: int = Field(sa_column=_number())
    granted: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    used: int = Field(sa_column=_number())
    used_on_limit: int = Field(sa_column=_number())
    expired: int = Field(sa_column=_number())
    voided: int = Field(sa_column=_number())
    refunded: int = Field(sa_column=_number())
    adjusted: int = Field(sa_column=_number())
    charged_back: int = Field(sa_column=_number())
    shortfall: int = Field(sa_column=_number())
    closing: int = Field(sa_column=_number())
    flows: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    received_cents: int = Field(sa_column=_number())
    repaid_cents: int = Field(sa_column=_number())
    revenue_cents: int = Field(sa_column=_number())
    breakage_cents: int = Field(sa_column=_number())
    forfeited_cents: int = Field(sa_column=_number())
    deferred_opening_cents: int = Field(sa_column=_number())
    deferred_closing_cents: int = Field(sa_column=_number())


class CloseWalletRow(TableModel, table=True):
    """The transfers of one wallet that belong to a close, after `first_seq` up to `last_seq`, and their sums. Append-only.

    A wallet that did not move has no row.
    """

    __table_args__: Any = (
        CheckConstraint("first_seq >= 0 and last_seq > first_seq", name="range"),
        Index("close_wallet_number_idx", "number", "wallet_id"),
    )

    wallet_id: int = Field(sa_column=_wallet_id(primary_key=True))
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    first_seq: int = Field(sa_column=_number())
    last_seq: int = Field(sa_column=_number())
    opening: int = Field(sa_column=_number())
    granted: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    used: int = Field(sa_column=_number())
    used_on_limit: int = Field(sa_column=_number())
    expired: int = Field(sa_column=_number())
    voided: int = Field(sa_column=_number())
    refunded: int = Field(sa_column=_number())
    adjusted: int = Field(sa_column=_number())
    charged_back: int = Field(sa_column=_number())
    shortfall: int = Field(sa_column=_number())
    closing: int = Field(sa_column=_number())


class CloseGrantRow(TableModel, table=True):
    """What had become of a paid grant by a close, and of its price: sums since the grant began. Append-only.

    A grant that did not change in the month has no row. `seq` is the last transfer of its wallet that is counted.
    """

    __table_args__: Any = (
        CheckConstraint(
            "paid_cents = revenue_cents + breakage_cents + forfeited_cents + deferred_cents", name="divided"
        ),
        Index("close_grant_number_idx", "number", "wallet_id"),
        Index("close_grant_wallet_idx", "wallet_id", "grant_id", "number"),
    )

    grant_id: UUID = Field(primary_key=True)
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    wallet_id: int = Field(sa_column=_wallet_id())
    seq: int = Field(sa_column=_number())
    granted: int = Field(sa_column=_number())
    used: int = Field(sa_column=_number())
    expired: int = Field(sa_column=_number())
    forfeited: int = Field(sa_column=_number())
    paid_cents: int = Field(sa_column=_number())
    revenue_cents: int = Field(sa_column=_number())
    breakage_cents: int = Field(sa_column=_number())
    forfeited_cents: int = Field(sa_column=_number())
    deferred_cents: int = Field(sa_column=_number())
