"""Tables that belong to no feature, and the base of all our tables."""

import re
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, LargeBinary, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from faregate.core.schema import SCHEMA

__all__ = [
    "Heartbeat",
    "Message",
    "ScheduledJob",
    "Subject",
    "TableModel",
    "Version",
    "created_at",
    "metadata",
    "moment",
]

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    },
)


class TableModel(SQLModel):
    """A table of Faregate, kept apart from the host's own SQLModel metadata."""

    metadata: ClassVar[MetaData] = metadata  # pyright: ignore[reportIncompatibleVariableOverride]

    @declared_attr.directive
    def __tablename__(cls) -> str:  # noqa: N805  # pyright: ignore[reportIncompatibleVariableOverride]
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


def moment(*, nullable: bool = False) -> "Column[Any]":
    """Return a `timestamptz` column."""
    return Column(UTCDateTime(), nullable=nullable)


def created_at() -> "Column[Any]":
    """Return a `timestamptz` column that the database fills with its own clock."""
    return Column(UTCDateTime(), nullable=False, server_default=text("now()"))


class Subject(TableModel, table=True):
    """Who: the internal identity behind a user id (or `org:<id>`) and an e-mail address.

    Every other table carries `subject_id`, so that erasing one row here makes a person unrecognisable everywhere.
    """

    subject_id: int | None = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    external_id: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    email: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=created_at())


class Message(TableModel, table=True):
    """One message of the PostgreSQL queue, which is also the outbox: written in the transaction that it tells about."""

    __table_args__: Any = (
        Index("message_ready_idx", "queue", "available_at", "message_id", postgresql_where=text("dead_at is null")),
        Index("message_dead_idx", "queue", "message_id", postgresql_where=text("dead_at is not null")),
        {"postgresql_with": {"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.02}},
    )

    message_id: UUID = Field(primary_key=True)
    queue: str = Field(sa_column=Column(Text, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    headers: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'{}'")))
    attempt: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    available_at: datetime = Field(sa_column=created_at())
    dead_at: datetime | None = Field(sa_column=moment(nullable=True))
    dead_reason: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=created_at())


class ScheduledJob(TableModel, table=True):
    """When a named job runs next, and who runs it now."""

    name: str = Field(sa_column=Column(Text, primary_key=True))
    next_at: datetime = Field(sa_column=moment())
    leased_until: datetime | None = Field(sa_column=moment(nullable=True))
    last_started_at: datetime | None = Field(sa_column=moment(nullable=True))
    last_finished_at: datetime | None = Field(sa_column=moment(nullable=True))
    last_error: str | None = Field(sa_column=Column(Text))


class Heartbeat(TableModel, table=True):
    """What a running process last said of itself.

    `settled_until`: every settlement published before this moment was settled, as far as that worker can see.
    """

    instance: str = Field(sa_column=Column(Text, primary_key=True))
    role: str = Field(sa_column=Column(Text, nullable=False))
    settled_until: datetime | None = Field(sa_column=moment(nullable=True))
    reported_at: datetime = Field(sa_column=created_at())


class Version(TableModel, table=True):
    """How often something that processes keep in memory has changed; they look here instead of being told."""

    name: str = Field(sa_column=Column(Text, primary_key=True))
    version: int = Field(sa_column=Column(BigInteger, nullable=False))
