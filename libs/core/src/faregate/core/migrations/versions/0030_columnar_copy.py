"""Columnar copy of usage events: how far it reaches, its months and its files

Revision: 0030, after 0029. Three new, small tables; nothing is changed or locked. The copy is made by the worker where
FAREGATE_COLUMNAR_DIR names a folder.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_TABLES = ("columnar_file", "columnar_month", "columnar_state")


def _moment(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    moment = sqlmodel.sql.sqltypes.UTCDateTime()
    return sa.Column(name, moment, nullable=nullable, server_default=sa.text(default) if default else None)


def _number(name: str, *, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text(default) if default else None)


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.create_table(
        "columnar_state",
        sa.Column("state_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("store", sa.Uuid(), nullable=False),
        _number("table_oid"),
        _number("from_tx"),
        sa.Column("open_txs", ARRAY(sa.BigInteger()), nullable=False),
        _moment("copied_at", nullable=True),
        sa.PrimaryKeyConstraint("state_id", name=op.f("columnar_state_pkey")),
        schema=schema,
    )
    op.create_table(
        "columnar_month",
        sa.Column("month", sa.Date(), nullable=False),
        _number("table_oid"),
        sa.PrimaryKeyConstraint("month", name=op.f("columnar_month_pkey")),
        schema=schema,
    )
    op.create_table(
        "columnar_file",
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        _number("facts"),
        _number("bytes", default="0"),
        _moment("first_at"),
        _moment("last_at"),
        _moment("replaced_at", nullable=True),
        _moment("created_at", default="now()"),
        sa.PrimaryKeyConstraint("file_id", name=op.f("columnar_file_pkey")),
        schema=schema,
    )
    op.execute(
        f"insert into {schema}.columnar_state (state_id, store, table_oid, from_tx, open_txs) "  # noqa: S608
        "values (1, gen_random_uuid(), 0, 0, '{}')"
    )


def downgrade() -> None:
    schema = context.config.attributes["schema"]
    for table in _TABLES:
        op.drop_table(table, schema=schema)
