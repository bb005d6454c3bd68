"""Tables of provider bills."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Numeric, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from faregate.core.db.schema import SCHEMA
from faregate.core.models import TableModel, created_at, moment

__all__ = ["BillImportRow", "BillLineRow"]

_CURRENT = text("superseded_by is null")


class BillImportRow(TableModel, table=True):
    """One import of a provider's export: the lines of the file, and what became of them."""

    import_id: UUID = Field(primary_key=True)
    source: str = Field(sa_column=Column(Text, nullable=False))
    provider: str = Field(sa_column=Column(Text, nullable=False))
    file_name: str | None = Field(sa_column=Column(Text))
    lines: int = Field(sa_column=Column(Integer, nullable=False))
    known: int = Field(sa_column=Column(Integer, nullable=False))
    replaced: int = Field(sa_column=Column(Integer, nullable=False))
    actor: str | None = Field(sa_column=Column(Text))
    imported_at: datetime = Field(sa_column=created_at())


class BillLineRow(TableModel, table=True):
    """One line of a bill. `group_key` is what the line is about, `line_key` that and what it says.

    A later import that says something else about the same thing supersedes the line.
    """

    __table_args__: Any = (
        Index("bill_line_current_key", "line_key", unique=True, postgresql_where=_CURRENT),
        Index("bill_line_group_idx", "group_key", postgresql_where=_CURRENT),
        Index("bill_line_start_idx", "provider", "start_at", postgresql_where=_CURRENT),
        Index("bill_line_superseded_idx", "superseded_by", postgresql_where=text("superseded_by is not null")),
    )

    import_id: UUID = Field(
        sa_column=Column(ForeignKey(f"{SCHEMA}.bill_import.import_id", ondelete="CASCADE"), primary_key=True)
    )
    number: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    group_key: UUID = Field(sa_column=Column(Uuid, nullable=False))
    line_key: UUID = Field(sa_column=Column(Uuid, nullable=False))
    provider: str = Field(sa_column=Column(Text, nullable=False))
    start_at: datetime = Field(sa_column=moment())
    end_at: datetime = Field(sa_column=moment())
    model: str | None = Field(sa_column=Column(Text))
    token_type: str | None = Field(sa_column=Column(Text))
    tokens: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    cost_usd: Decimal | None = Field(sa_column=Column(Numeric))
    requests: int | None = Field(sa_column=Column(BigInteger))
    request_id: str | None = Field(sa_column=Column(Text))
    detail: str = Field(sa_column=Column(Text, nullable=False, server_default=text("''")))
    superseded_by: UUID | None = Field(sa_column=Column(Uuid))
