"""Tables of service-level objectives and their alerts."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Numeric, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from faregate.core.db.schema import SCHEMA
from faregate.core.models import TableModel, created_at, moment

__all__ = ["ObjectiveAlertRow", "ObjectiveDeliveryRow", "ObjectiveRow"]


class ObjectiveRow(TableModel, table=True):
    """A declared objective with its last status; `value` is None for all use."""

    __table_args__: Any = (
        CheckConstraint("scope in ('total', 'service', 'feature', 'model')", name="scope"),
        CheckConstraint("indicator in ('availability', 'latency')", name="indicator"),
        CheckConstraint("target_percent > 0 and target_percent < 100", name="target"),
    )

    name: str = Field(sa_column=Column(Text, primary_key=True))
    scope: str = Field(sa_column=Column(Text, nullable=False))
    value: str | None = Field(sa_column=Column(Text))
    indicator: str = Field(sa_column=Column(Text, nullable=False))
    target_percent: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    threshold_ms: int | None = Field(sa_column=Column(Integer))
    window_days: int = Field(sa_column=Column(Integer, nullable=False))
    active: bool = Field(sa_column_kwargs={"server_default": text("true")})
    revision: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    status: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    checked_at: datetime | None = Field(sa_column=moment(nullable=True))
    updated_at: datetime = Field(sa_column=created_at())


class ObjectiveAlertRow(TableModel, table=True):
    """One rule of an objective while it holds. The unique index ensures that it is reported once, even with concurrent checks."""

    __table_args__: Any = (
        Index("objective_alert_open_key", "name", "rule", unique=True, postgresql_where=text("ended_at is null")),
        Index("objective_alert_fired_idx", "name", "fired_at"),
    )

    alert_id: UUID = Field(primary_key=True)
    name: str = Field(sa_column=Column(ForeignKey(f"{SCHEMA}.objective.name", ondelete="CASCADE"), nullable=False))
    revision: int = Field(sa_column=Column(Integer, nullable=False))
    rule: str = Field(sa_column=Column(Text, nullable=False))
    rate: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    threshold: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    total: int = Field(sa_column=Column(BigInteger, nullable=False))
    bad: int = Field(sa_column=Column(BigInteger, nullable=False))
    fired_at: datetime = Field(sa_column=moment())
    ended_at: datetime | None = Field(sa_column=moment(nullable=True))


class ObjectiveDeliveryRow(TableModel, table=True):
    """One alert on one alert channel: `pending` until `delivered`, or `failed` after the last attempt."""

    __table_args__: Any = (
        Index("objective_delivery_due_idx", "next_at", postgresql_where=text("status = 'pending'")),
        CheckConstraint("status in ('pending', 'delivered', 'failed')", name="status"),
    )

    alert_id: UUID = Field(
        sa_column=Column(ForeignKey(f"{SCHEMA}.objective_alert.alert_id", ondelete="CASCADE"), primary_key=True)
    )
    channel: str = Field(sa_column=Column(Text, primary_key=True))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'pending'")))
    attempts: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    next_at: datetime = Field(sa_column=moment())
    delivered_at: datetime | None = Field(sa_column=moment(nullable=True))
    last_error: str | None = Field(sa_column=Column(Text))
