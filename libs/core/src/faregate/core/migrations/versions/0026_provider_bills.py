"""Provider bills and their lines

Revision: 0026, after 0025. Two new tables; no data that is there changes, and nothing is locked.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_CURRENT = "superseded_by is null"


def _moment(name: str, *, default: str | None = None) -> sa.Column:
    moment = sqlmodel.sql.sqltypes.UTCDateTime()
    return sa.Column(name, moment, nullable=False, server_default=sa.text(default) if default else None)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable, server_default=sa.text(default) if default else None)


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.create_table(
        "bill_import",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        _text("source"),
        _text("provider"),
        _text("file_name", nullable=True),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("replaced", sa.Integer(), nullable=False),
        _text("actor", nullable=True),
        _moment("imported_at", default="now()"),
        sa.PrimaryKeyConstraint("import_id", name=op.f("bill_import_pkey")),
        schema=schema,
    )
    op.create_table(
        "bill_line",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("group_key", sa.Uuid(), nullable=False),
        sa.Column("line_key", sa.Uuid(), nullable=False),
        _text("provider"),
        _moment("start_at"),
        _moment("end_at"),
        _text("model", nullable=True),
        _text("token_type", nullable=True),
        sa.Column("tokens", JSONB(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(), nullable=True),
        sa.Column("requests", sa.BigInteger(), nullable=True),
        _text("request_id", nullable=True),
        _text("detail", default="''"),
        sa.Column("superseded_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["import_id"],
            [f"{schema}.bill_import.import_id"],
            name=op.f("bill_line_import_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("import_id", "number", name=op.f("bill_line_pkey")),
        schema=schema,
    )
    _create_indexes(schema)


def _create_indexes(schema: str) -> None:
    for name, columns, unique, where in (
        ("bill_line_current_key", ["line_key"], True, _CURRENT),
        ("bill_line_group_idx", ["group_key"], False, _CURRENT),
        ("bill_line_start_idx", ["provider", "start_at"], False, _CURRENT),
        ("bill_line_superseded_idx", ["superseded_by"], False, "superseded_by is not null"),
    ):
        op.create_index(name, "bill_line", columns, unique=unique, schema=schema, postgresql_where=sa.text(where))


def downgrade() -> None:
    for table in ("bill_line", "bill_import"):
        op.drop_table(table, schema=context.config.attributes["schema"])
