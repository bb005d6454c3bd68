"""Base class of all tables; tables shared by all libraries."""

import re
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, LargeBinary, MetaData, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, INET, JSONB
from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from faregate.core.db.metadata import metadata

__all__ = [
    "ApiKeyRow",
    "AuditEntryRow",
    "HeartbeatRow",
    "IdempotentAnswerRow",
    "MessageRow",
    "PortalLinkRow",
    "ScheduledJobRow",
    "SubjectRow",
    "TableModel",
    "TenantHostRow",
    "TenantRow",
    "VersionRow",
    "WebSessionRow",
    "WebhookDeliveryRow",
    "WebhookEndpointRow",
    "created_at",
    "moment",
]


class TableModel(SQLModel):
    """A table of Faregate, in metadata separate from the host's own SQLModel metadata; `WalletRow` is the table `wallet`."""

    metadata: ClassVar[MetaData] = metadata  # pyright: ignore[reportIncompatibleVariableOverride]

    @declared_attr.directive
    def __tablename__(cls) -> str:  # noqa: N805  # pyright: ignore[reportIncompatibleVariableOverride]
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Row")).lower()


def moment(*, nullable: bool = False) -> "Column[Any]":
    """Return a `timestamptz` column."""
    return Column(UTCDateTime(), nullable=nullable)


def created_at() -> "Column[Any]":
    """Return a `timestamptz` column that the database fills with its own clock."""
    return Column(UTCDateTime(), nullable=False, server_default=text("now()"))


class SubjectRow(TableModel, table=True):
    """The internal identity behind a user id (or `org:<id>`) and an e-mail address.

    Every other table refers to people by `subject_id`, so that erasing one row here makes a person unidentifiable everywhere.
    """

    subject_id: int | None = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    external_id: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    email: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=created_at())


class MessageRow(TableModel, table=True):
    """One message of the PostgreSQL queue, which is also the outbox: written in the transaction whose change it reports."""

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


class ScheduledJobRow(TableModel, table=True):
    """The next run of a named job, and the lease of the worker that runs it now."""

    name: str = Field(sa_column=Column(Text, primary_key=True))
    next_at: datetime = Field(sa_column=moment())
    leased_until: datetime | None = Field(sa_column=moment(nullable=True))
    last_started_at: datetime | None = Field(sa_column=moment(nullable=True))
    last_finished_at: datetime | None = Field(sa_column=moment(nullable=True))
    last_error: str | None = Field(sa_column=Column(Text))


class HeartbeatRow(TableModel, table=True):
    """The last report of a running process.

    `settled_until`: every settlement published before this moment was settled, as far as that worker can see.
    """

    instance: str = Field(sa_column=Column(Text, primary_key=True))
    role: str = Field(sa_column=Column(Text, nullable=False))
    settled_until: datetime | None = Field(sa_column=moment(nullable=True))
    reported_at: datetime = Field(sa_column=created_at())


class VersionRow(TableModel, table=True):
    """The version number of cached data: it is raised with each change, and processes poll it instead of being notified."""

    name: str = Field(sa_column=Column(Text, primary_key=True))
    version: int = Field(sa_column=Column(BigInteger, nullable=False))


class ApiKeyRow(TableModel, table=True):
    """The credential of a server. Only a keyed hash of the secret is stored.

    `client` is the first key of a series of rotations; at most two keys of one client are live at the same time. `minted_by` is the
    key that created the client, the same for the whole series; null if no key created it.
    """

    __table_args__: Any = (Index("api_key_client_idx", "client"),)

    key_id: str = Field(sa_column=Column(Text, primary_key=True))
    client: str = Field(sa_column=Column(Text, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    environment: str = Field(sa_column=Column(Text, nullable=False))
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    allowed_ips: list[str] | None = Field(sa_column=Column(ARRAY(Text)))
    created_by: str = Field(sa_column=Column(Text, nullable=False))
    minted_by: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=created_at())
    expires_at: datetime | None = Field(sa_column=moment(nullable=True))
    revoked_at: datetime | None = Field(sa_column=moment(nullable=True))
    last_used_at: datetime | None = Field(sa_column=moment(nullable=True))


class WebSessionRow(TableModel, table=True):
    """The session of a browser. Only a hash of its token is stored.

    `credential_hash` is a digest of the bootstrap key: another key in the settings ends the sessions of the old one.
    """

    __table_args__: Any = (
        Index("web_session_expires_idx", "expires_at"),
        Index("web_session_subject_idx", "subject_id"),
    )

    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    actor: str = Field(sa_column=Column(Text, nullable=False))
    subject_id: int | None = Field(sa_column=Column(BigInteger))
    organization_id: str | None = Field(sa_column=Column(Text))
    roles: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    scopes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    key_id: str | None = Field(sa_column=Column(Text))
    credential_hash: bytes | None = Field(sa_column=Column(LargeBinary))
    created_at: datetime = Field(sa_column=created_at())
    expires_at: datetime = Field(sa_column=moment())


class PortalLinkRow(TableModel, table=True):
    """A link to the customers' page of one user or organisation. Only a hash of its secret is stored."""

    __table_args__: Any = (
        Index("portal_link_expires_idx", "expires_at"),
        Index("portal_link_subject_idx", "subject_id"),
    )

    link_id: str = Field(sa_column=Column(Text, primary_key=True))
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    subject_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    origins: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    created_at: datetime = Field(sa_column=created_at())
    expires_at: datetime = Field(sa_column=moment())


class IdempotentAnswerRow(TableModel, table=True):
    """The answer to one `Idempotency-Key` of one credential, written in the transaction of the request."""

    __table_args__: Any = (Index("idempotent_answer_created_idx", "created_at", postgresql_using="brin"),)

    credential: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    request_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: int = Field(sa_column=Column(Integer, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(sa_column=created_at())


class AuditEntryRow(TableModel, table=True):
    """Who did what to whom, when and from where. Append-only; people are recorded by subject number.

    `before_hash` and `after_hash` are SHA-256 of the object as it was answered before and after; null if it did not exist.
    """

    __table_args__: Any = (
        Index("audit_entry_subject_idx", "subject_id", "entry_id"),
        Index("audit_entry_actor_idx", "actor", "entry_id"),
    )

    entry_id: UUID = Field(primary_key=True)
    actor: str = Field(sa_column=Column(Text, nullable=False))
    actor_subject_id: int | None = Field(sa_column=Column(BigInteger))
    action: str = Field(sa_column=Column(Text, nullable=False))
    subject_id: int | None = Field(sa_column=Column(BigInteger))
    target: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    status: int = Field(sa_column=Column(Integer, nullable=False))
    before_hash: bytes | None = Field(sa_column=Column(LargeBinary))
    after_hash: bytes | None = Field(sa_column=Column(LargeBinary))
    address: str | None = Field(sa_column=Column(INET))
    request_id: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=created_at())


class TenantRow(TableModel, table=True):
    """A tenant of the deployment: where its tables are, and which settings it has of its own.

    Filled in the deployment's own schema only. `overrides` is JSON, encrypted if there are keys for it.
    """

    key: str = Field(sa_column=Column(Text, primary_key=True))
    db_schema: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    tag: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    state: str = Field(sa_column=Column(Text, nullable=False))
    overrides: str = Field(sa_column=Column(Text, nullable=False))
    changed_at: datetime = Field(sa_column=created_at())
    created_at: datetime = Field(sa_column=created_at())


class TenantHostRow(TableModel, table=True):
    """A host name at which a tenant is served; no two tenants share one."""

    host: str = Field(sa_column=Column(Text, primary_key=True))
    tenant: str = Field(sa_column=Column(Text, nullable=False, index=True))


class WebhookEndpointRow(TableModel, table=True):
    """An address to which events are sent. Disabled by hand, by a 410, or after days of failures."""

    endpoint_id: UUID = Field(primary_key=True)
    url: str = Field(sa_column=Column(Text, nullable=False))
    events: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    secret: str = Field(sa_column=Column(Text, nullable=False))
    previous_secret: str | None = Field(sa_column=Column(Text))
    previous_until: datetime | None = Field(sa_column=moment(nullable=True))
    description: str | None = Field(sa_column=Column(Text))
    created_by: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=created_at())
    failing_since: datetime | None = Field(sa_column=moment(nullable=True))
    disabled_at: datetime | None = Field(sa_column=moment(nullable=True))
    disabled_reason: str | None = Field(sa_column=Column(Text))


class WebhookDeliveryRow(TableModel, table=True):
    """One event to be delivered to one endpoint, and the result of each attempt (`history`)."""

    __table_args__: Any = (
        Index("webhook_delivery_due_idx", "due_at", postgresql_where=text("due_at is not null")),
        Index("webhook_delivery_endpoint_idx", "endpoint_id", "delivery_id"),
        UniqueConstraint("endpoint_id", "event_id"),
    )

    delivery_id: UUID = Field(primary_key=True)
    endpoint_id: UUID = Field(nullable=False)
    event_id: str = Field(sa_column=Column(Text, nullable=False))
    event_type: str = Field(sa_column=Column(Text, nullable=False))
    payload: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'pending'")))
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    due_at: datetime | None = Field(sa_column=moment(nullable=True))
    history: list[Any] = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'[]'")))
    created_at: datetime = Field(sa_column=created_at())
