"""Tables of budgets and their alerts."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from faregate.core.db.schema import SCHEMA
from faregate.core.models import TableModel, created_at, moment

__all__ = ["BudgetAlertRow", "BudgetDeliveryRow", "BudgetRow"]


class BudgetRow(TableModel, table=True):
    """A declared amount for all use (`business`), or that of one feature, model or organisation (`subject_id`), in a period."""

    __table_args__: Any = (
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("scope in ('business', 'feature', 'model', 'organization')", name="scope"),
    )

    name: str = Field(sa_column=Column(Text, primary_key=True))
    scope: str = Field(sa_column=Column(Text, nullable=False))
    value: str | None = Field(sa_column=Column(Text))
    subject_id: int | None = Field(sa_column=Column(BigInteger, ForeignKey(f"{SCHEMA}.subject.subject_id")))
    unit: str = Field(sa_column=Column(Text, nullable=False))
    amount: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    period: str = Field(sa_column=Column(Text, nullable=False))
    timezone: str = Field(sa_column=Column(Text, nullable=False))
    thresholds: list[Decimal] | None = Field(sa_column=Column(ARRAY(Numeric)))
    emails: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'")))
    active: bool = Field(sa_column_kwargs={"server_default": text("true")})
    revision: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    updated_at: datetime = Field(sa_column=created_at())


class BudgetAlertRow(TableModel, table=True):
    """One level of one budget in one period. The unique key ensures that an alert fires once, even with concurrent checks."""

    __table_args__: Any = (
        UniqueConstraint("name", "revision", "period_start", "level", name="budget_alert_once_key"),
        Index("budget_alert_fired_idx", "fired_at"),
    )

    alert_id: UUID = Field(primary_key=True)
    name: str = Field(sa_column=Column(ForeignKey(f"{SCHEMA}.budget.name", ondelete="CASCADE"), nullable=False))
    revision: int = Field(sa_column=Column(Integer, nullable=False))
    period_start: datetime = Field(sa_column=moment())
    period_end: datetime = Field(sa_column=moment())
    level: str = Field(sa_column=Column(Text, nullable=False))
    used: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    amount: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    expected: Decimal | None = Field(sa_column=Column(Numeric))
    superseded: bool = Field(sa_column_kwargs={"server_default": text("false")})
    fired_at: datetime = Field(sa_column=moment())


class BudgetDeliveryRow(TableModel, table=True):
    """One budget alert on one channel: `pending` until `delivered`, or `failed` after the last attempt."""

    __table_args__: Any = (
        Index("budget_delivery_due_idx", "next_at", postgresql_where=text("status = 'pending'")),
        CheckConstraint("status in ('pending', 'delivered', 'failed')", name="status"),
    )

    alert_id: UUID = Field(
        sa_column=Column(ForeignKey(f"{SCHEMA}.budget_alert.alert_id", ondelete="CASCADE"), primary_key=True)
    )
    channel: str = Field(sa_column=Column(Text, primary_key=True))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'pending'")))
    attempts: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    next_at: datetime = Field(sa_column=moment())
    delivered_at: datetime | None = Field(sa_column=moment(nullable=True))
    last_error: str | None = Field(sa_column=Column(Text))
