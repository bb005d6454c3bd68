"""Tables of feature logs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, Identity, Index, Integer, LargeBinary, SmallInteger, Text, text
from sqlmodel import Field

from faregate.core.models import TableModel, created_at, moment

__all__ = ["FeatureLogKeyRow", "FeatureLogRetentionRow", "FeatureLogRouteRow", "FeatureLogRow"]


class FeatureLogRouteRow(TableModel, table=True):
    """A combination of feature, endpoint and type that many logs share, and that text search covers.

    `endpoint` is a template: ids in it are `{id}`, so that there are few of them and none identifies a person. An empty text is
    a name that was not given.
    """

    __table_args__: Any = (
        Index("feature_log_route_names_key", "feature_key", "feature_id", "endpoint", "type", unique=True),
    )

    route_id: int | None = Field(sa_column=Column(Integer, Identity(always=True), primary_key=True))
    feature_key: str = Field(sa_column=Column(Text, nullable=False))
    feature_id: str = Field(sa_column=Column(Text, nullable=False))
    endpoint: str = Field(sa_column=Column(Text, nullable=False))
    type: str = Field(sa_column=Column(Text, nullable=False))


class FeatureLogRow(TableModel, table=True):
    """The redacted record of one request to a feature; one partition per month.

    `log_id` is a UUIDv7 of `logged_at`, so that the id alone finds partition and row. The last columns are JSON, or encrypted with
    the key `key_id`; the cell of one row cannot be decrypted as that of another row or column.
    """

    __table_args__: Any = (
        Index("feature_log_subject_idx", "subject_id", "logged_at", "log_id"),
        Index("feature_log_route_idx", "route_id", "logged_at", "log_id"),
        Index("feature_log_code_idx", "code", "logged_at", "log_id"),
        Index("feature_log_method_idx", "method", "logged_at", "log_id"),
        Index("feature_log_failed_idx", "failed", "logged_at", "log_id"),
        Index("feature_log_email_idx", "email_index", "logged_at", postgresql_where=text("email_index is not null")),
        Index("feature_log_usage_key_idx", "usage_key", postgresql_where=text("usage_key is not null")),
        {"postgresql_partition_by": "RANGE (logged_at)"},
    )

    logged_at: datetime = Field(sa_column=Column(moment().type, primary_key=True, nullable=False))
    log_id: UUID = Field(primary_key=True)
    subject_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    route_id: int = Field(sa_column=Column(Integer, nullable=False))
    code: int = Field(sa_column=Column(SmallInteger, nullable=False))
    failed: bool = Field(sa_column=Column(Boolean, nullable=False))
    method: str = Field(sa_column=Column(Text, nullable=False))
    duration_ms: int | None = Field(sa_column=Column(Integer))
    usage_key: str | None = Field(sa_column=Column(Text))
    endpoint: str | None = Field(sa_column=Column(Text))
    email_index: bytes | None = Field(sa_column=Column(LargeBinary))
    deleted_at: datetime | None = Field(sa_column=moment(nullable=True))
    deleted_by: str | None = Field(sa_column=Column(Text))
    key_id: str | None = Field(sa_column=Column(Text))
    email: bytes | None = Field(sa_column=Column(LargeBinary))
    payload: bytes | None = Field(sa_column=Column(LargeBinary))
    response: bytes | None = Field(sa_column=Column(LargeBinary))
    params: bytes | None = Field(sa_column=Column(LargeBinary))
    query: bytes | None = Field(sa_column=Column(LargeBinary))


class FeatureLogKeyRow(TableModel, table=True):
    """The key of a stored log, for deduplication: the caller's id, or for a day the digest of the redacted record."""

    __table_args__: Any = (Index("feature_log_key_expires_idx", "expires_at"),)

    digest: UUID = Field(primary_key=True)
    log_id: UUID
    expires_at: datetime = Field(sa_column=moment())


class FeatureLogRetentionRow(TableModel, table=True):
    """The retention of one feature's logs, if it differs from the setting."""

    feature_key: str = Field(sa_column=Column(Text, primary_key=True))
    days: int = Field(sa_column=Column(Integer, nullable=False))
    updated_at: datetime = Field(sa_column=created_at())
