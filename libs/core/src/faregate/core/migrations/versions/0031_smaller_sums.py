"""Sums by each dimension alone; no sums by combination, and none by user and service

Revision: 0031, after 0030. `usage_cube` and `usage_cube_active` are dropped. Of `usage_rollup` the quarter-hours of single
dimensions and the hours of organisations are deleted, of `usage_active` all that is shorter than a month for single
dimensions, of `usage_user` the sums by service. What remains needs no new roll-up, for archived months either. The three tables
are locked while what remains of them is written again: about a second for each 200 MB.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_OFTEN_UPDATED = {"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.05}
_NAMES = ("service", "model", "provider", "feature", "country", "device", "status", "meter")
_SUMS = "facts, requests, errors, input_tokens, output_tokens, credits, charged, cost, latency_sum, latency_count, unpriced"
_BINS = {"bins": sa.SmallInteger(), "counts": sa.BigInteger()}


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.drop_table("usage_cube_active", schema=schema)
    op.drop_table("usage_cube", schema=schema)
    for name in _BINS:
        op.alter_column("usage_rollup", name, nullable=True, server_default=None, schema=schema)
    op.execute(
        f"update {schema}.usage_rollup set bins = null, counts = null where bins = '{{}}' or (dimension <> 0 and grain = 3)"
    )
    _keep(schema, "usage_rollup", "dimension = 0 or grain > case dimension when 5 then 1 else 0 end")
    _keep(schema, "usage_active", "dimension = 0 or grain = 3")
    _keep(schema, "usage_user", "service = ''")
    op.drop_constraint("usage_user_pkey", "usage_user", schema=schema, type_="primary")
    op.drop_column("usage_user", "service", schema=schema)
    op.create_primary_key(op.f("usage_user_pkey"), "usage_user", ["grain", "bucket", "subject_id"], schema=schema)


def _keep(schema: str, table: str, condition: str) -> None:
    """Delete the other rows, and give their space back, which a plain delete would leave in the table."""
    op.execute(f"create temporary table kept on commit drop as select * from {schema}.{table} where {condition}")
    op.execute(f"truncate {schema}.{table}")
    op.execute(f"insert into {schema}.{table} select * from kept")
    op.execute("drop table kept")


def downgrade() -> None:
    schema = context.config.attributes["schema"]
    op.drop_constraint("usage_user_pkey", "usage_user", schema=schema, type_="primary")
    op.add_column("usage_user", sa.Column("service", sa.Text(), server_default="", nullable=False), schema=schema)
    op.alter_column("usage_user", "service", server_default=None, schema=schema)
    key = ["service", "grain", "bucket", "subject_id"]
    op.create_primary_key(op.f("usage_user_pkey"), "usage_user", key, schema=schema)
    for name in _BINS:
        op.execute(f"update {schema}.usage_rollup set {name} = '{{}}' where {name} is null")
        op.alter_column("usage_rollup", name, nullable=False, server_default=sa.text("'{}'"), schema=schema)
    _create_cube(schema)
    _begin_anew(schema)


def _create_cube(schema: str) -> None:
    op.create_table(
        "usage_cube",
        *_cell(),
        *(sa.Column(name, sa.Text(), nullable=name != "service") for name in _NAMES),
        sa.Column("organization", sa.BigInteger()),
        *map(_sum, (*_SUMS.split(", "), "calls", "call_errors", "call_latency_sum", "call_latency_count", "quantity")),
        *(_array(name, kind) for name, kind in {**_BINS, "call_counts": sa.BigInteger()}.items()),
        sa.PrimaryKeyConstraint("day", "cell", name=op.f("usage_cube_pkey")),
        schema=schema,
        postgresql_with=_OFTEN_UPDATED,
    )
    op.create_table(
        "usage_cube_active",
        *_cell(),
        sa.Column("chunk", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("users", postgresql.BIT(length=2048), nullable=False),
        sa.PrimaryKeyConstraint("day", "cell", "chunk", name=op.f("usage_cube_active_pkey")),
        schema=schema,
        postgresql_with=_OFTEN_UPDATED,
    )


def _cell() -> "list[sa.Column]":
    return [sa.Column("day", sa.Date(), nullable=False), sa.Column("cell", sa.Uuid(), nullable=False)]


def _sum(name: str) -> sa.Column:
    kind = sa.Numeric() if name in {"cost", "quantity"} else sa.BigInteger()
    return sa.Column(name, kind, server_default=sa.text("0"), nullable=False)


def _array(name: str, kind: sa.types.TypeEngine) -> sa.Column:
    return sa.Column(name, postgresql.ARRAY(kind), server_default=sa.text("'{}'"), nullable=False)


def _begin_anew(schema: str) -> None:
    """Let the next roll-up add all facts that are there; the sums of archived months stay."""
    since = f"(select date_trunc('month', min(time), 'UTC') from {schema}.usage_event)"
    for table in ("usage_rollup", "usage_active"):
        op.execute(f"delete from {schema}.{table} where bucket >= {since}")
    op.execute(f"delete from {schema}.usage_user where bucket >= ({since} at time zone 'UTC')::date")
    week = f"date_trunc('week', {since} at time zone 'UTC')::date"
    op.execute(f"delete from {schema}.usage_user where grain = 4 and bucket >= {week}")
    op.execute(
        f"insert into {schema}.usage_user (service, grain, bucket, subject_id, last_at, {_SUMS}) "
        f"select '', 4, {week}, subject_id, max(last_at), {', '.join(f'sum({name})' for name in _SUMS.split(', '))} "
        f"from {schema}.usage_user where grain = 2 and bucket >= {week} group by subject_id"
    )
    op.execute(f"update {schema}.rollup_state set from_tx = 0, open_txs = '{{}}', facts = 0")
