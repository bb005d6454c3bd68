"""Monthly closes with their statements, payments for grants

Revision: 0027, after 0026. Four new tables; no data that is there changes, and nothing is locked.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("close", "close_wallet", "close_grant")
_COLUMNS = ("used", "used_on_limit", "expired", "voided", "refunded", "adjusted", "charged_back", "shortfall", "closing")


def _moment(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    moment = sqlmodel.sql.sqltypes.UTCDateTime()
    return sa.Column(name, moment, nullable=nullable, server_default=sa.text(default) if default else None)


def _amounts(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _id(name: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    _create_close(schema)
    _create_wallets(schema)
    _create_grants(schema)
    _create_payments(schema)
    for table in _APPEND_ONLY:
        op.execute(
            f"""
            create trigger {table}_append_only before update or delete or truncate on {schema}.{table}
            for each statement execute function {schema}.refuse_change()
            """
        )


def _create_close(schema: str) -> None:
    op.create_table(
        "close",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        _moment("since", nullable=True),
        _moment("until"),
        _moment("closed_at"),
        *_amounts("wallets", "transfers", "late", "unvalued", "opening"),
        sa.Column("granted", JSONB(), nullable=False),
        *_amounts(*_COLUMNS),
        sa.Column("flows", JSONB(), nullable=False),
        *_amounts("received_cents", "repaid_cents", "revenue_cents", "breakage_cents", "forfeited_cents"),
        *_amounts("deferred_opening_cents", "deferred_closing_cents"),
        sa.PrimaryKeyConstraint("number", name=op.f("close_pkey")),
        sa.UniqueConstraint("period", name=op.f("close_period_key")),
        schema=schema,
    )


def _create_wallets(schema: str) -> None:
    op.create_table(
        "close_wallet",
        _id("wallet_id"),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        *_amounts("first_seq", "last_seq", "opening"),
        sa.Column("granted", JSONB(), nullable=False),
        *_amounts(*_COLUMNS),
        sa.CheckConstraint("first_seq >= 0 and last_seq > first_seq", name=op.f("close_wallet_range_check")),
        sa.PrimaryKeyConstraint("wallet_id", "number", name=op.f("close_wallet_pkey")),
        schema=schema,
    )
    op.create_index("close_wallet_number_idx", "close_wallet", ["number", "wallet_id"], schema=schema)


def _create_grants(schema: str) -> None:
    op.create_table(
        "close_grant",
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wallet_id", sa.BigInteger(), nullable=False),
        *_amounts("seq", "granted", "used", "expired", "forfeited"),
        *_amounts("paid_cents", "revenue_cents", "breakage_cents", "forfeited_cents", "deferred_cents"),
        sa.CheckConstraint(
            "paid_cents = revenue_cents + breakage_cents + forfeited_cents + deferred_cents",
            name=op.f("close_grant_divided_check"),
        ),
        sa.PrimaryKeyConstraint("grant_id", "number", name=op.f("close_grant_pkey")),
        schema=schema,
    )
    op.create_index("close_grant_number_idx", "close_grant", ["number", "wallet_id"], schema=schema)
    op.create_index("close_grant_wallet_idx", "close_grant", ["wallet_id", "grant_id", "number"], schema=schema)


def _create_payments(schema: str) -> None:
    op.create_table(
        "grant_payment",
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("wallet_id", sa.BigInteger(), nullable=False),
        *_amounts("cents"),
        _moment("paid_at"),
        sa.Column("number", sa.Integer(), nullable=True),
        _moment("recorded_at", default="now()"),
        sa.CheckConstraint("cents <> 0", name=op.f("grant_payment_moves_check")),
        sa.ForeignKeyConstraint(
            ["grant_id"], [f"{schema}.credit_grant.grant_id"], name=op.f("grant_payment_grant_id_fkey")
        ),
        sa.PrimaryKeyConstraint("grant_id", "key", name=op.f("grant_payment_pkey")),
        schema=schema,
    )
    op.create_index(
        "grant_payment_open_idx",
        "grant_payment",
        ["paid_at"],
        schema=schema,
        postgresql_where=sa.text("number is null"),
    )
    op.create_index("grant_payment_wallet_idx", "grant_payment", ["wallet_id"], schema=schema)


def downgrade() -> None:
    schema = context.config.attributes["schema"]
    for table in ("grant_payment", "close_grant", "close_wallet", "close"):
        op.drop_table(table, schema=schema)
