"""Tables of features, plans, prices, organisations and usage lines."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from faregate.core.db.schema import SCHEMA
from faregate.core.models import TableModel, created_at, moment

__all__ = [
    "DefinitionRow",
    "FeatureRow",
    "MarginRow",
    "MemberRow",
    "OrganizationRow",
    "PlanRow",
    "PriceOverrideRow",
    "UsageLineRow",
]


class FeatureRow(TableModel, table=True):
    """A feature as an operator defined it."""

    __table_args__: Any = (CheckConstraint("min_credits >= 0", name="min_credits"),)

    key: str = Field(sa_column=Column(Text, primary_key=True))
    feature_id: str | None = Field(sa_column=Column(Text, unique=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    min_credits: int = Field(sa_column=Column(BigInteger, nullable=False))
    strategy: str = Field(sa_column=Column(Text, nullable=False))
    parameters: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'{}'")))
    access: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'{}'")))
    active: bool = Field(sa_column_kwargs={"server_default": text("true")})
    hold_ttl_seconds: int | None = Field(sa_column=Column(Integer))
    hold_limit: int | None = Field(sa_column=Column(BigInteger))
    margin_percent: Decimal | None = Field(sa_column=Column(Numeric))
    refuse_unpriced: bool = Field(sa_column_kwargs={"server_default": text("false")})
    outage_policy: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'closed'")))
    outage_limit: int | None = Field(sa_column=Column(BigInteger))
    hold_sizing: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'estimate'")))
    hold_credits: int | None = Field(sa_column=Column(BigInteger))
    hold_percentile: Decimal | None = Field(sa_column=Column(Numeric))
    updated_at: datetime = Field(sa_column=created_at())
    retired_at: datetime | None = Field(sa_column=moment(nullable=True))


class PlanRow(TableModel, table=True):
    """A plan: the features it includes, their terms, and its recurring grants."""

    key: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    margin_percent: Decimal | None = Field(sa_column=Column(Numeric))
    features: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'{}'")))
    grants: list[Any] = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'[]'")))
    updated_at: datetime = Field(sa_column=created_at())


class PriceOverrideRow(TableModel, table=True):
    """An operator's price of one model for a period; never changed, only withdrawn."""

    __table_args__: Any = (
        CheckConstraint("effective_to > effective_from", name="in_order"),
        Index("price_override_model_idx", "model"),
    )

    number: int | None = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    model: str = Field(sa_column=Column(Text, nullable=False))
    provider: str | None = Field(sa_column=Column(Text))
    service_tier: str | None = Field(sa_column=Column(Text))
    effective_from: datetime = Field(sa_column=moment())
    effective_to: datetime | None = Field(sa_column=moment(nullable=True))
    prices: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    actor: str | None = Field(sa_column=Column(Text))
    note: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=created_at())
    withdrawn_at: datetime | None = Field(sa_column=moment(nullable=True))


class MarginRow(TableModel, table=True):
    """The margin on one model or provider; `scope` is "model" or "provider"."""

    scope: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=Column(Text, primary_key=True))
    percent: Decimal = Field(sa_column=Column(Numeric, nullable=False))


class DefinitionRow(TableModel, table=True):
    """One version of an operator's definition, with its author and time. `content` is null for a deletion."""

    kind: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    version: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    content: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    actor: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=created_at())


class OrganizationRow(TableModel, table=True):
    """An organisation, and how its members are charged."""

    subject_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey(f"{SCHEMA}.subject.subject_id"), primary_key=True, autoincrement=False)
    )
    name: str | None = Field(sa_column=Column(Text))
    policy: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'recorded'")))
    created_at: datetime = Field(sa_column=created_at())


class MemberRow(TableModel, table=True):
    """A user's membership of an organisation: at most one at a time."""

    __table_args__: Any = (Index("member_organization_idx", "organization_id"),)

    subject_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey(f"{SCHEMA}.subject.subject_id"), primary_key=True, autoincrement=False)
    )
    organization_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey(f"{SCHEMA}.organization.subject_id"), nullable=False)
    )
    created_at: datetime = Field(sa_column=created_at())


class UsageLineRow(TableModel, table=True):
    """One model's part of a settlement, with every input of its price."""

    __table_args__: Any = (
        Index("usage_line_unpriced_idx", "usage_key", postgresql_where=text("price_version = 'unpriced'")),
        Index("usage_line_settled_idx", "settled_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    )

    usage_key: str = Field(sa_column=Column(Text, primary_key=True))
    line_no: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    model: str | None = Field(sa_column=Column(Text))
    provider: str | None = Field(sa_column=Column(Text))
    tokens: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    quantity: Decimal | None = Field(sa_column=Column(Numeric))
    unit: str | None = Field(sa_column=Column(Text))
    service_tier: str | None = Field(sa_column=Column(Text))
    provider_cost_usd: Decimal | None = Field(sa_column=Column(Numeric))
    input_cost_usd: Decimal | None = Field(sa_column=Column(Numeric))
    output_cost_usd: Decimal | None = Field(sa_column=Column(Numeric))
    margin_percent: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    credit_price_usd: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    credits: int = Field(sa_column=Column(BigInteger, nullable=False))
    price_version: str = Field(sa_column=Column(Text, nullable=False))
    raw: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    settled_at: datetime = Field(sa_column=moment())
    repriced_at: datetime | None = Field(sa_column=moment(nullable=True))
    reported_cost_usd: Decimal | None = Field(sa_column=Column(Numeric))
