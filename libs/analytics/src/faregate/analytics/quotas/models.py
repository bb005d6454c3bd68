"""Tables of quotas, alerts and deliveries."""

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

__all__ = ["AlertDeliveryRow", "QuotaAlertRow", "QuotaRow"]


class QuotaRow(TableModel, table=True):
    """The limit on the use of a meter by an owner in a period; no subject means everybody together."""

    __table_args__: Any = (
        UniqueConstraint("subject_id", "meter", "period", name="quota_owner_key", postgresql_nulls_not_distinct=True),
        CheckConstraint("limit_value >= 0", name="limit"),
    )

    quota_id: UUID = Field(primary_key=True)
    subject_id: int | None = Field(sa_column=Column(BigInteger, ForeignKey(f"{SCHEMA}.subject.subject_id")))
    meter: str = Field(sa_column=Column(Text, nullable=False))
    period: str = Field(sa_column=Column(Text, nullable=False))
    limit_value: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    hard: bool = Field(sa_column_kwargs={"server_default": text("false")})
    timezone: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'UTC'")))
    thresholds: list[Decimal] | None = Field(sa_column=Column(ARRAY(Numeric)))
    emails: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'")))
    active: bool = Field(sa_column_kwargs={"server_default": text("true")})
    revision: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    updated_at: datetime = Field(sa_column=created_at())
    created_at: datetime = Field(sa_column=created_at())


class QuotaAlertRow(TableModel, table=True):
    """One level of one quota in one period. The unique key ensures that an alert fires once, even with concurrent checks."""

    __table_args__: Any = (
        UniqueConstraint("quota_id", "revision", "period_start", "level", name="quota_alert_once_key"),
        Index("quota_alert_fired_idx", "fired_at"),
    )

    alert_id: UUID = Field(primary_key=True)
    quota_id: UUID = Field(sa_column=Column(ForeignKey(f"{SCHEMA}.quota.quota_id", ondelete="CASCADE"), nullable=False))
    revision: int = Field(sa_column=Column(Integer, nullable=False))
    period_start: datetime = Field(sa_column=moment())
    period_end: datetime = Field(sa_column=moment())
    level: str = Field(sa_column=Column(Text, nullable=False))
    used: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    limit_value: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    superseded: bool = Field(sa_column_kwargs={"server_default": text("false")})
    runs_out_at: datetime | None = Field(sa_column=moment(nullable=True))
    fired_at: datetime = Field(sa_column=moment())


class AlertDeliveryRow(TableModel, table=True):
    """One alert on one channel: `pending` until `delivered`, or `failed` after the last attempt."""

    __table_args__: Any = (
        Index("alert_delivery_due_idx", "next_at", postgresql_where=text("status = 'pending'")),
        CheckConstraint("status in ('pending', 'delivered', 'failed')", name="status"),
    )

    alert_id: UUID = Field(
        sa_column=Column(ForeignKey(f"{SCHEMA}.quota_alert.alert_id", ondelete="CASCADE"), primary_key=True)
    )
    channel: str = Field(sa_column=Column(Text, primary_key=True))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'pending'")))
    attempts: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    next_at: datetime = Field(sa_column=moment())
    delivered_at: datetime | None = Field(sa_column=moment(nullable=True))
    last_error: str | None = Field(sa_column=Column(Text))
