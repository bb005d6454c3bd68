"""Tables of kept insights, anomalies and segment rules."""

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
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

from faregate.core.db.schema import SCHEMA
from faregate.core.models import TableModel, created_at, moment

__all__ = ["AnomalyDeliveryRow", "AnomalyRow", "InsightPersonRow", "InsightRow", "SegmentRuleRow"]


class InsightRow(TableModel, table=True):
    """One kept result. `owners` are the subjects that the ask names: an erasure deletes results about them."""

    __table_args__: Any = (
        Index("insight_ask_idx", "ask_key", text("made_at desc")),
        Index("insight_made_idx", "made_at"),
    )

    insight_id: UUID = Field(primary_key=True)
    kind: str = Field(sa_column=Column(Text, nullable=False))
    ask_key: UUID = Field(sa_column=Column(Uuid, nullable=False))
    parameters: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    owners: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False, server_default=text("'{}'")))
    enough: bool = Field(sa_column_kwargs={"nullable": False})
    evidence: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    answer: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    made_at: datetime = Field(sa_column=moment())


class InsightPersonRow(TableModel, table=True):
    """What one kept result found about one subject."""

    __table_args__: Any = (Index("insight_person_subject_idx", "subject_id"),)

    insight_id: UUID = Field(
        sa_column=Column(ForeignKey(f"{SCHEMA}.insight.insight_id", ondelete="CASCADE"), primary_key=True)
    )
    rank: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    subject_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    facts: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class AnomalyRow(TableModel, table=True):
    """One unusual period of one measure, or several in a row. The unique key ensures that it is reported once.

    `scope` is `total`, `model`, `feature` or `user`; `value` names the model or the feature, `subject_id` the user.
    """

    __table_args__: Any = (
        UniqueConstraint(
            *("scope", "value", "subject_id", "measure", "unit", "period_start"),
            name="anomaly_once_key",
            postgresql_nulls_not_distinct=True,
        ),
        CheckConstraint("verdict in ('confirmed', 'not_an_anomaly')", name="verdict"),
        Index("anomaly_found_idx", "found_at"),
        Index("anomaly_subject_idx", "subject_id", postgresql_where=text("subject_id is not null")),
    )

    anomaly_id: UUID = Field(primary_key=True)
    scope: str = Field(sa_column=Column(Text, nullable=False))
    value: str | None = Field(sa_column=Column(Text))
    subject_id: int | None = Field(sa_column=Column(BigInteger, ForeignKey(f"{SCHEMA}.subject.subject_id")))
    measure: str = Field(sa_column=Column(Text, nullable=False))
    unit: str = Field(sa_column=Column(Text, nullable=False))
    period_start: datetime = Field(sa_column=moment())
    period_end: datetime = Field(sa_column=moment())
    actual: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    expected: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    allowed: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    reason: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    verdict: str | None = Field(sa_column=Column(Text))
    verdict_by: str | None = Field(sa_column=Column(Text))
    verdict_at: datetime | None = Field(sa_column=moment(nullable=True))
    found_at: datetime = Field(sa_column=moment())


class AnomalyDeliveryRow(TableModel, table=True):
    """One anomaly on one alert channel: `pending` until `delivered`, or `failed` after the last attempt."""

    __table_args__: Any = (
        Index("anomaly_delivery_due_idx", "next_at", postgresql_where=text("status = 'pending'")),
        CheckConstraint("status in ('pending', 'delivered', 'failed')", name="status"),
    )

    anomaly_id: UUID = Field(
        sa_column=Column(ForeignKey(f"{SCHEMA}.anomaly.anomaly_id", ondelete="CASCADE"), primary_key=True)
    )
    channel: str = Field(sa_column=Column(Text, primary_key=True))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'pending'")))
    attempts: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    next_at: datetime = Field(sa_column=moment())
    delivered_at: datetime | None = Field(sa_column=moment(nullable=True))
    last_error: str | None = Field(sa_column=Column(Text))


class SegmentRuleRow(TableModel, table=True):
    """A declared segment: the users for whom all conditions hold."""

    name: str = Field(sa_column=Column(Text, primary_key=True))
    conditions: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
    updated_at: datetime = Field(sa_column=created_at())
