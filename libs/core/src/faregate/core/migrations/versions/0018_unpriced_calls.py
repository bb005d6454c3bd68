"""Sums count the calls of models whose provider cost nobody knows

Revision: 0018, after 0016. The sums of the months that are not archived are made anew by the next roll-up; those of
archived months count none.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None

SUMS = "facts, requests, errors, input_tokens, output_tokens, credits, charged, cost, latency_sum, latency_count"
TABLES = {"usage_rollup": "bucket", "usage_cube": "day", "usage_user": "bucket"}


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    for table in TABLES:
        counted = sa.Column("unpriced", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        op.add_column(table, counted, schema=schema)
    _count(schema)


def _count(schema: str) -> None:
    """Let the next roll-up add all facts that are there, if there is something to count among them."""
    op.execute(
        f"""
do $$
declare since timestamptz := (
  select date_trunc('month', min(time), 'UTC') from {schema}.usage_event having exists (
    select from {schema}.usage_event where cost is null and (calls <> 0 or input_tokens + output_tokens <> 0)));
begin
  if since is null then return; end if;
  delete from {schema}.usage_rollup where bucket >= since;
  delete from {schema}.usage_active where bucket >= since;
  delete from {schema}.usage_cube where day >= (since at time zone 'UTC')::date;
  delete from {schema}.usage_cube_active where day >= (since at time zone 'UTC')::date;
  delete from {schema}.usage_user where bucket >= (since at time zone 'UTC')::date;
  delete from {schema}.usage_user where grain = 4 and bucket >= date_trunc('week', since at time zone 'UTC')::date;
  insert into {schema}.usage_user (service, grain, bucket, subject_id, last_at, {SUMS})
  select service, 4, date_trunc('week', since at time zone 'UTC')::date, subject_id, max(last_at),
    {", ".join(f"sum({name})" for name in SUMS.split(", "))}
  from {schema}.usage_user where grain = 2 and bucket >= date_trunc('week', since at time zone 'UTC')::date
  group by service, subject_id;
  update {schema}.rollup_state set from_tx = 0, open_txs = '{{}}', facts = 0;
end $$
"""  # the days that are left of the week that begins in an archived month make it anew
    )


def downgrade() -> None:
    schema = context.config.attributes["schema"]
    for table in TABLES:
        op.drop_column(table, "unpriced", schema=schema)
