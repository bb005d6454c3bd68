"""Purchases through Stripe, their events, saved payment methods; debts from reversed payments

Revision: 0029, after 0028. Four new tables. `wallet` gets a column with a default, which changes no row, and a wider check of its
bounds: the table is locked while the check reads it (about a second for each million wallets).
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_TABLES = ("payment_customer", "payment_event", "payment_link", "purchase")
_BOUND = "credits + credit_limit - debits - held - earmarked >= 0"


def _moment(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    moment = sqlmodel.sql.sqltypes.UTCDateTime()
    return sa.Column(name, moment, nullable=nullable, server_default=sa.text(default) if default else None)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=sa.text(default) if default else None)


def _number(name: str, *, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text(default) if default else None)


def _key(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.Uuid(), nullable=nullable)


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.add_column("wallet", _number("clawback_debt", default="0"), schema=schema)
    _replace_bound("credits + credit_limit + clawback_debt - debits - held - earmarked >= 0", schema)
    _create_purchases(schema)
    _create_events(schema)
    op.create_table(
        "payment_customer",
        sa.Column("wallet_id", sa.BigInteger(), autoincrement=False, nullable=False),
        _text("customer"),
        _text("method", nullable=True),
        _moment("saved_at"),
        sa.PrimaryKeyConstraint("wallet_id", name=op.f("payment_customer_pkey")),
        schema=schema,
    )


def _create_purchases(schema: str) -> None:
    op.create_table(
        "purchase",
        _key("purchase_id", nullable=False),
        _number("wallet_id"),
        _text("package", nullable=True),
        _number("credits"),
        _number("amount"),
        _text("currency", default="'usd'"),
        _key("order_id"),
        _text("key", nullable=True),
        _text("status", default="'open'"),
        _number("granted", default="0"),
        _number("taken", default="0"),
        _number("lost", default="0"),
        _number("returned", default="0"),
        _text("session_id", nullable=True),
        _text("url", nullable=True),
        _text("failure", nullable=True),
        _moment("created_at", default="now()"),
        _moment("paid_at", nullable=True),
        sa.CheckConstraint("credits > 0 and amount > 0", name=op.f("purchase_agreed_check")),
        sa.CheckConstraint(
            "granted >= 0 and taken >= 0 and lost >= 0 and taken + lost <= granted", name=op.f("purchase_moved_check")
        ),
        sa.PrimaryKeyConstraint("purchase_id", name=op.f("purchase_pkey")),
        sa.UniqueConstraint("order_id", name=op.f("purchase_order_id_key")),
        schema=schema,
    )
    newest = sa.text("created_at desc")
    op.create_index("purchase_wallet_idx", "purchase", ["wallet_id", newest], schema=schema)
    op.create_index("purchase_created_idx", "purchase", [newest, "purchase_id"], schema=schema)
    op.create_index(
        "purchase_key_idx",
        "purchase",
        ["wallet_id", "key"],
        unique=True,
        schema=schema,
        postgresql_where=sa.text("key is not null"),
    )


def _create_events(schema: str) -> None:
    op.create_table(
        "payment_link",
        _text("payment_intent"),
        _key("purchase_id"),
        sa.PrimaryKeyConstraint("payment_intent", name=op.f("payment_link_pkey")),
        schema=schema,
    )
    op.create_index("payment_link_purchase_idx", "payment_link", ["purchase_id"], schema=schema)
    op.create_table(
        "payment_event",
        _text("event_id"),
        _text("type"),
        _text("object_id"),
        _key("purchase_id"),
        _text("payment_intent", nullable=True),
        sa.Column("facts", JSONB(), nullable=False),
        _moment("occurred_at"),
        _moment("received_at", default="now()"),
        sa.PrimaryKeyConstraint("event_id", name=op.f("payment_event_pkey")),
        schema=schema,
    )
    for name, column in (("purchase", "purchase_id"), ("intent", "payment_intent")):
        op.create_index(
            f"payment_event_{name}_idx",
            "payment_event",
            [column],
            schema=schema,
            postgresql_where=sa.text(f"{column} is not null"),
        )
    op.create_index(
        "payment_event_received_idx", "payment_event", [sa.text("received_at desc"), "event_id"], schema=schema
    )


def _replace_bound(condition: str, schema: str) -> None:
    name = op.f("wallet_never_overspent_check")
    op.drop_constraint(name, "wallet", schema=schema)
    op.create_check_constraint(name, "wallet", condition, schema=schema)


def downgrade() -> None:
    schema = context.config.attributes["schema"]
    for table in _TABLES:
        op.drop_table(table, schema=schema)
    _replace_bound(_BOUND, schema)
    op.drop_column("wallet", "clawback_debt", schema=schema)
