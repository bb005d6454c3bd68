"""Tables of report subscriptions, their recipients and deliveries."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

from faregate.core.db.schema import SCHEMA
from faregate.core.models import TableModel, created_at, moment

__all__ = ["ReportDeliveryRow", "ReportRecipientRow", "ReportSubscriptionRow"]


class ReportSubscriptionRow(TableModel, table=True):
    """A report that is sent regularly: about the business, or one organisation or user (`subject_id`)."""

    __table_args__: Any = (
        CheckConstraint("kind in ('daily', 'weekly', 'monthly')", name="kind"),
        CheckConstraint("scope in ('business', 'organization', 'user')", name="scope"),
        Index("report_subscription_due_idx", "next_at", postgresql_where=text("next_at is not null")),
    )

    name: str = Field(sa_column=Column(Text, primary_key=True))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    scope: str = Field(sa_column=Column(Text, nullable=False))
    subject_id: int | None = Field(sa_column=Column(BigInteger, ForeignKey(f"{SCHEMA}.subject.subject_id")))
    filters: dict[str, str] = Field(sa_column=Column(JSONB, nullable=False))
    timezone: str = Field(sa_column=Column(Text, nullable=False))
    hour: int = Field(sa_column=Column(SmallInteger, nullable=False))
    weekday: int = Field(sa_column=Column(SmallInteger, nullable=False))
    month_day: int = Field(sa_column=Column(SmallInteger, nullable=False))
    files: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    active: bool = Field(sa_column=Column(Boolean, nullable=False))
    next_at: datetime | None = Field(sa_column=moment(nullable=True))
    updated_at: datetime = Field(sa_column=created_at())


class ReportRecipientRow(TableModel, table=True):
    """A recipient of a subscription. Who unsubscribed stays here (`listed` false) when the address is taken from the list, so that
    naming it again sends nothing.
    """

    __table_args__: Any = (
        CheckConstraint("state in ('active', 'unsubscribed', 'suspended')", name="state"),
        Index("report_recipient_token_key", "token", unique=True),
    )

    name: str = Field(
        sa_column=Column(ForeignKey(f"{SCHEMA}.report_subscription.name", ondelete="CASCADE"), primary_key=True)
    )
    address: str = Field(sa_column=Column(Text, primary_key=True))
    position: int = Field(sa_column=Column(SmallInteger, nullable=False))
    listed: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("true")))
    state: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'active'")))
    token: UUID = Field(nullable=False)
    changed_at: datetime = Field(sa_column=created_at())
    last_error: str | None = Field(sa_column=Column(Text))


class ReportDeliveryRow(TableModel, table=True):
    """One report of one period for one recipient. The unique key ensures that it is queued once; tests are outside it."""

    __table_args__: Any = (
        CheckConstraint("status in ('pending', 'sent', 'bounced', 'failed', 'cancelled')", name="status"),
        Index(
            "report_delivery_once_key",
            "name",
            "address",
            "period_start",
            unique=True,
            postgresql_where=text("not test"),
        ),
        Index("report_delivery_due_idx", "next_at", postgresql_where=text("status = 'pending'")),
        Index("report_delivery_name_idx", "name", "due_at"),
    )

    delivery_id: UUID = Field(primary_key=True)
    name: str = Field(
        sa_column=Column(ForeignKey(f"{SCHEMA}.report_subscription.name", ondelete="CASCADE"), nullable=False)
    )
    address: str = Field(sa_column=Column(Text, nullable=False))
    period_start: datetime = Field(sa_column=moment())
    period_end: datetime = Field(sa_column=moment())
    test: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'pending'")))
    attempts: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    due_at: datetime = Field(sa_column=moment())
    next_at: datetime = Field(sa_column=moment())
    finished_at: datetime | None = Field(sa_column=moment(nullable=True))
    last_error: str | None = Field(sa_column=Column(Text))
