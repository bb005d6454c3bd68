"""Sums by week and month for users, active users by quarter-hour and by combination of values

Revision: 0011, after 0010. The sums of the months that are not archived are made anew by the next roll-up.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_OFTEN_UPDATED = {"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.05}
_SUMS = "facts, requests, errors, input_tokens, output_tokens, credits, charged, cost, latency_sum, latency_count"


def _sums() -> "list[sa.Column]":
    names = _SUMS.split(", ")
    return [
        sa.Column(
            name, sa.Numeric() if name == "cost" else sa.BigInteger(), server_default=sa.text("0"), nullable=False
        )
        for name in names
    ]


def upgrade() -> None:
    SCHEMA = context.config.attributes["schema"]
    op.create_table(
        "usage_user",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("grain", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.Date(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        *_sums(),
        sa.PrimaryKeyConstraint("service", "grain", "bucket", "subject_id", name=op.f("usage_user_pkey")),
        schema=SCHEMA,
        postgresql_with=_OFTEN_UPDATED,
    )
    op.create_table(
        "usage_cube_active",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("cell", sa.Uuid(), nullable=False),
        sa.Column("chunk", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("users", postgresql.BIT(length=2048), nullable=False),
        sa.PrimaryKeyConstraint("day", "cell", "chunk", name=op.f("usage_cube_active_pkey")),
        schema=SCHEMA,
        postgresql_with=_OFTEN_UPDATED,
    )
    for name, kind in (("bins", sa.SmallInteger()), ("counts", sa.BigInteger()), ("call_counts", sa.BigInteger())):
        empty = sa.Column(name, postgresql.ARRAY(kind), server_default=sa.text("'{}'"), nullable=False)
        op.add_column("usage_cube", empty, schema=SCHEMA)
    _move_users(SCHEMA)
    _begin_anew(SCHEMA)


def _move_users(schema: str) -> None:
    """Keep what the sums alone still know: the users of archived months."""
    united = ", ".join(f"sum({name})" for name in _SUMS.split(", "))
    for grain, bucket in ((2, "day"), (3, "date_trunc('month', day)::date"), (4, "date_trunc('week', day)::date")):
        op.execute(
            f"insert into {schema}.usage_user (service, grain, bucket, subject_id, last_at, {_SUMS}) "
            f"select service, {grain}, {bucket}, subject_id, max(last_at), {united} from {schema}.usage_user_day "
            f"where day < {_since(schema)} group by service, {bucket}, subject_id"
        )
    op.drop_table("usage_user_day", schema=schema)


def _begin_anew(schema: str) -> None:
    """Let the next roll-up add all facts that are there."""
    for table, column in (("usage_rollup", "bucket"), ("usage_active", "bucket"), ("usage_cube", "day")):
        op.execute(f"delete from {schema}.{table} where {column} >= {_since(schema)}")
    op.execute(f"update {schema}.rollup_state set from_tx = 0, open_txs = '{{}}', facts = 0")


def _since(schema: str) -> str:
    return f"(select coalesce(date_trunc('month', min(time), 'UTC'), 'infinity') from {schema}.usage_event)"


def downgrade() -> None:
    SCHEMA = context.config.attributes["schema"]
    op.create_table(
        "usage_user_day",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        *_sums(),
        sa.PrimaryKeyConstraint("service", "day", "subject_id", name=op.f("usage_user_day_pkey")),
        schema=SCHEMA,
        postgresql_with=_OFTEN_UPDATED,
    )
    op.execute(
        f"insert into {SCHEMA}.usage_user_day (service, day, subject_id, last_at, {_SUMS}) "
        f"select service, bucket, subject_id, last_at, {_SUMS} from {SCHEMA}.usage_user where grain = 2"
    )
    for name in ("bins", "counts", "call_counts"):
        op.drop_column("usage_cube", name, schema=SCHEMA)
    op.drop_table("usage_cube_active", schema=SCHEMA)
    op.drop_table("usage_user", schema=SCHEMA)
