"""Tables of the columnar copy: state, months and files."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Date, SmallInteger, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from faregate.core.models import TableModel, created_at, moment

__all__ = ["ColumnarFileRow", "ColumnarMonthRow", "ColumnarStateRow"]


class ColumnarStateRow(TableModel, table=True):
    """How far the copy reaches: it holds the facts of all transactions before `from_tx` except `open_txs`, which were not
    finished then, of the months in `columnar_month`. One row.

    `store` names the folder of the files. `table_oid` is the number of the table of facts: in a database that was restored
    from a dump it differs, and the copy begins anew.
    """

    state_id: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    store: UUID = Field(sa_column=Column(Uuid, nullable=False))
    table_oid: int = Field(sa_column=Column(BigInteger, nullable=False))
    from_tx: int = Field(sa_column=Column(BigInteger, nullable=False))
    open_txs: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))
    copied_at: datetime | None = Field(sa_column=moment(nullable=True))


class ColumnarMonthRow(TableModel, table=True):
    """A month whose facts are copied: that of the partition with the number `table_oid`, not of one restored since."""

    month: date = Field(sa_column=Column(Date, primary_key=True))
    table_oid: int = Field(sa_column=Column(BigInteger, nullable=False))


class ColumnarFileRow(TableModel, table=True):
    """A file of the copy with facts of one month. A file that was replaced stays on disk for readers of older snapshots."""

    file_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    month: date = Field(sa_column=Column(Date, nullable=False))
    facts: int = Field(sa_column=Column(BigInteger, nullable=False))
    bytes: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    first_at: datetime = Field(sa_column=moment())
    last_at: datetime = Field(sa_column=moment())
    replaced_at: datetime | None = Field(sa_column=moment(nullable=True))
    created_at: datetime = Field(sa_column=created_at())
