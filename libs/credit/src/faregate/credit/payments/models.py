"""Tables of payments.

Credits are integer micro-credits, money is in the smallest unit of the currency.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from faregate.core.models import TableModel, created_at, moment

__all__ = ["PaymentCustomerRow", "PaymentEventRow", "PaymentLinkRow", "PurchaseRow"]


def _amount() -> "Column[Any]":
    return Column(BigInteger, nullable=False, server_default=text("0"))


class PurchaseRow(TableModel, table=True):
    """One purchase of credits: what was agreed at checkout, and what its payment has moved in the ledger."""

    __table_args__: Any = (
        CheckConstraint("credits > 0 and amount > 0", name="agreed"),
        CheckConstraint("granted >= 0 and taken >= 0 and lost >= 0 and taken + lost <= granted", name="moved"),
        Index("purchase_wallet_idx", "wallet_id", text("created_at desc")),
        Index("purchase_created_idx", text("created_at desc"), "purchase_id"),
        Index("purchase_key_idx", "wallet_id", "key", unique=True, postgresql_where=text("key is not null")),
    )

    purchase_id: UUID = Field(primary_key=True)
    wallet_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    package: str | None = Field(sa_column=Column(Text))
    credits: int = Field(sa_column=Column(BigInteger, nullable=False))
    amount: int = Field(sa_column=Column(BigInteger, nullable=False))
    currency: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'usd'")))
    order_id: UUID | None = Field(sa_column=Column(Uuid, unique=True))
    key: str | None = Field(sa_column=Column(Text))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'open'")))
    granted: int = Field(sa_column=_amount())
    taken: int = Field(sa_column=_amount())
    lost: int = Field(sa_column=_amount())
    returned: int = Field(sa_column=_amount())
    session_id: str | None = Field(sa_column=Column(Text))
    url: str | None = Field(sa_column=Column(Text))
    failure: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=created_at())
    paid_at: datetime | None = Field(sa_column=moment(nullable=True))


class PaymentLinkRow(TableModel, table=True):
    """The row to lock for one payment of Stripe, and its purchase once that is known: refunds and disputes name no other."""

    __table_args__: Any = (Index("payment_link_purchase_idx", "purchase_id"),)

    payment_intent: str = Field(sa_column=Column(Text, primary_key=True))
    purchase_id: UUID | None = Field(sa_column=Column(Uuid))


class PaymentEventRow(TableModel, table=True):
    """One event of Stripe, reduced to its facts. The state of a purchase is what all its events say together."""

    __table_args__: Any = (
        Index("payment_event_purchase_idx", "purchase_id", postgresql_where=text("purchase_id is not null")),
        Index("payment_event_intent_idx", "payment_intent", postgresql_where=text("payment_intent is not null")),
        Index("payment_event_received_idx", text("received_at desc"), "event_id"),
    )

    event_id: str = Field(sa_column=Column(Text, primary_key=True))
    type: str = Field(sa_column=Column(Text, nullable=False))
    object_id: str = Field(sa_column=Column(Text, nullable=False))
    purchase_id: UUID | None = Field(sa_column=Column(Uuid))
    payment_intent: str | None = Field(sa_column=Column(Text))
    facts: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    occurred_at: datetime = Field(sa_column=moment())
    received_at: datetime = Field(sa_column=created_at())


class PaymentCustomerRow(TableModel, table=True):
    """The customer and the payment method that an owner has saved at Stripe for automatic top-ups."""

    wallet_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    customer: str = Field(sa_column=Column(Text, nullable=False))
    method: str | None = Field(sa_column=Column(Text))
    saved_at: datetime = Field(sa_column=moment())
