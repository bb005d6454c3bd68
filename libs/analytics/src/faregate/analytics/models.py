"""Tables of rollups over usage events, and of saved views."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, Date, Index, Numeric, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, BIT, JSONB
from sqlmodel import Field

from faregate.analytics.rollups.user_chunks import CHUNK_BITS
from faregate.core.models import TableModel, created_at, moment

__all__ = [
    "RollupStateRow",
    "SavedViewRow",
    "UsageActiveRow",
    "UsageRollupRow",
    "UsageUserRow",
]

_OFTEN_UPDATED: dict[str, Any] = {"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.05}


def _sum() -> "Column[Any]":
    return Column(BigInteger, nullable=False, server_default=text("0"))


def _key_text() -> "Column[Any]":
    return Column(Text, primary_key=True)


def _key_number() -> "Column[Any]":
    return Column(SmallInteger, primary_key=True, autoincrement=False)


class RollupStateRow(TableModel, table=True):
    """How far the sums reach: they contain the facts of all transactions before `from_tx` except `open_txs`, which were not
    finished then. One row.
    """

    state_id: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    from_tx: int = Field(sa_column=Column(BigInteger, nullable=False))
    open_txs: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))
    rolled_at: datetime | None = Field(sa_column=moment(nullable=True))
    facts: int = Field(sa_column=_sum())


class UsageRollupRow(TableModel, table=True):
    """Sums by hour, day and month (`grain` 1 to 3) for each value of each dimension alone; of organisations, which may be many,
    by day and month; of all facts together by quarter-hour (0), too.

    An empty `value` stands for facts without one; `detail` is the provider of a model. `bins` and `counts` are the
    sketch of the latencies, in no order: of days, and of the hours and months of all facts together.
    """

    __table_args__: Any = (
        Index("usage_rollup_bucket_idx", "dimension", "grain", "bucket"),
        {"postgresql_with": _OFTEN_UPDATED},
    )

    dimension: int = Field(sa_column=_key_number())
    value: str = Field(sa_column=_key_text())
    detail: str = Field(sa_column=_key_text())
    grain: int = Field(sa_column=_key_number())
    bucket: datetime = Field(sa_column=Column(moment().type, primary_key=True))
    facts: int = Field(sa_column=_sum())
    requests: int = Field(sa_column=_sum())
    errors: int = Field(sa_column=_sum())
    input_tokens: int = Field(sa_column=_sum())
    output_tokens: int = Field(sa_column=_sum())
    credits: int = Field(sa_column=_sum())
    charged: int = Field(sa_column=_sum())
    cost: Decimal = Field(sa_column=Column(Numeric, nullable=False, server_default=text("0")))
    latency_sum: int = Field(sa_column=_sum())
    latency_count: int = Field(sa_column=_sum())
    unpriced: int = Field(sa_column=_sum())
    quantity: Decimal = Field(sa_column=Column(Numeric, nullable=False, server_default=text("0")))
    bins: list[int] | None = Field(sa_column=Column(ARRAY(SmallInteger)))
    counts: list[int] | None = Field(sa_column=Column(ARRAY(BigInteger)))


class UsageActiveRow(TableModel, table=True):
    """Active subjects, of all facts by quarter-hour, hour, day and month (`grain` 0 to 3), of each value of each dimension by
    month: one bit for each subject, exact and fast to merge.

    `chunk` is the subject's number divided by 2,048, the bit is the remainder.
    """

    __table_args__: Any = ({"postgresql_with": _OFTEN_UPDATED},)

    dimension: int = Field(sa_column=_key_number())
    value: str = Field(sa_column=_key_text())
    grain: int = Field(sa_column=_key_number())
    bucket: datetime = Field(sa_column=Column(moment().type, primary_key=True))
    chunk: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    users: Any = Field(sa_column=Column(BIT(CHUNK_BITS), nullable=False))


class UsageUserRow(TableModel, table=True):
    """Sums by day, month and week (`grain` 2 to 4) for each user."""

    __table_args__: Any = ({"postgresql_with": _OFTEN_UPDATED},)

    grain: int = Field(sa_column=_key_number())
    bucket: date = Field(sa_column=Column(Date, primary_key=True))
    subject_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    last_at: datetime | None = Field(sa_column=moment(nullable=True))
    facts: int = Field(sa_column=_sum())
    requests: int = Field(sa_column=_sum())
    errors: int = Field(sa_column=_sum())
    input_tokens: int = Field(sa_column=_sum())
    output_tokens: int = Field(sa_column=_sum())
    credits: int = Field(sa_column=_sum())
    charged: int = Field(sa_column=_sum())
    cost: Decimal = Field(sa_column=Column(Numeric, nullable=False, server_default=text("0")))
    latency_sum: int = Field(sa_column=_sum())
    latency_count: int = Field(sa_column=_sum())
    unpriced: int = Field(sa_column=_sum())


class SavedViewRow(TableModel, table=True):
    """A named view of the dashboard: the query of its address. Its owner is a person (`subject_id`) or a credential (`actor`)."""

    __table_args__: Any = (Index("saved_view_subject_idx", "subject_id"),)

    view_id: UUID = Field(primary_key=True)
    actor: str = Field(sa_column=Column(Text, nullable=False))
    subject_id: int | None = Field(sa_column=Column(BigInteger))
    name: str = Field(sa_column=Column(Text, nullable=False))
    shared: bool = Field(sa_column=Column(Boolean, nullable=False))
    state: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    updated_at: datetime = Field(sa_column=created_at())
    created_at: datetime = Field(sa_column=created_at())
