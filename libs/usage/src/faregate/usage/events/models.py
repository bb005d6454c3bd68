"""Tables of usage events, their identities, corrections, rejections and meters."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, Integer, Numeric, SmallInteger, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from faregate.core.models import TableModel, created_at, moment

__all__ = ["UsageCorrectionRow", "UsageEventKeyRow", "UsageEventRow", "UsageMeterRow", "UsageRejectionRow"]

_TRANSACTION = text("(pg_current_xact_id()::text)::bigint")


def _count() -> "Column[Any]":
    return Column(BigInteger, nullable=False, server_default=text("0"))


def _small(default: int) -> "Column[Any]":
    return Column(SmallInteger, nullable=False, server_default=text(str(default)))


def _text() -> "Column[Any]":
    return Column(Text)


class UsageEventRow(TableModel, table=True):
    """One metered fact: the table that analytics reads. Append-only and partitioned by month of `time`.

    A correction adds a row that reverses the original (`sign` -1, counts negated), and a replacement adds one more, so that
    sums over all rows are correct at any moment. `tx` is the transaction that wrote the row: roll-ups follow it instead of
    the time, because transactions do not commit in the order in which they begin. `credits` and `charged` are in
    micro-credits, `cost` is in 10⁻¹² USD.
    """

    __table_args__: Any = (
        Index("usage_event_subject_idx", "subject_id", "time"),
        Index("usage_event_time_idx", "time", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
        Index("usage_event_tx_idx", "tx", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
        {"postgresql_partition_by": "RANGE (time)"},
    )
    __mapper_args__: ClassVar[dict[str, Any]] = {"primary_key": ["time", "event_key", "version", "sign"]}

    time: datetime = Field(sa_column=moment())
    tx: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=_TRANSACTION))
    event_key: UUID = Field(sa_column=Column(Uuid, nullable=False))
    version: int = Field(sa_column=_small(0))
    sign: int = Field(sa_column=_small(1))
    kind: int = Field(sa_column=_small(0))
    subject_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    organization_id: int | None = Field(sa_column=Column(BigInteger))
    service: str = Field(sa_column=Column(Text, nullable=False))
    feature_key: str | None = Field(sa_column=_text())
    usage_key: str | None = Field(sa_column=_text())
    model: str | None = Field(sa_column=_text())
    provider: str | None = Field(sa_column=_text())
    meter: str | None = Field(sa_column=_text())
    quantity: Decimal | None = Field(sa_column=Column(Numeric))
    requests: int = Field(sa_column=_small(0))
    calls: int = Field(sa_column=_small(0))
    input_tokens: int = Field(sa_column=_count())
    output_tokens: int = Field(sa_column=_count())
    credits: int = Field(sa_column=_count())
    charged: int = Field(sa_column=_count())
    cost: int | None = Field(sa_column=Column(BigInteger))
    latency_ms: int | None = Field(sa_column=Column(Integer))
    status: int | None = Field(sa_column=Column(SmallInteger))
    country: str | None = Field(sa_column=_text())
    device: str | None = Field(sa_column=_text())
    source: str = Field(sa_column=Column(Text, nullable=False))
    external_id: str | None = Field(sa_column=_text())
    tags: list[str] | None = Field(sa_column=Column(JSONB))
    metadata_: dict[str, Any] | None = Field(sa_column=Column("metadata", JSONB))
    received_at: datetime = Field(sa_column=created_at())


class UsageEventKeyRow(TableModel, table=True):
    """A claim on an identity, by which an event counts only once. Kept for the deduplication window; locates the event."""

    __table_args__: Any = (Index("usage_event_key_received_idx", "received_at", postgresql_using="brin"),)

    key: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    event_key: UUID = Field(sa_column=Column(Uuid, nullable=False))
    subject_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    time: datetime = Field(sa_column=moment())
    received_at: datetime = Field(sa_column=created_at())


class UsageCorrectionRow(TableModel, table=True):
    """The correction of one version of an event; `replaced` if a next version replaces it."""

    event_key: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    version: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    replaced: bool = Field(sa_column_kwargs={"nullable": False})
    meaning_hash: UUID = Field(sa_column=Column(Uuid, nullable=False))
    subject_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    time: datetime = Field(sa_column=moment())
    reason: str | None = Field(sa_column=_text())
    actor: str | None = Field(sa_column=_text())
    corrected_at: datetime = Field(sa_column=created_at())


class UsageRejectionRow(TableModel, table=True):
    """Why an event with an id was rejected; ignored once an event with that id is accepted."""

    __table_args__: Any = (Index("usage_rejection_rejected_idx", "rejected_at", postgresql_using="brin"),)

    key: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    rejected_at: datetime = Field(sa_column=created_at())


class UsageMeterRow(TableModel, table=True):
    """A declared meter, or a built-in one with another price."""

    name: str = Field(sa_column=Column(Text, primary_key=True))
    unit: str = Field(sa_column=Column(Text, nullable=False))
    aggregation: str = Field(sa_column=Column(Text, nullable=False))
    unit_price_usd: Decimal | None = Field(sa_column=Column(Numeric))
    description: str | None = Field(sa_column=_text())
    updated_at: datetime = Field(sa_column=created_at())
