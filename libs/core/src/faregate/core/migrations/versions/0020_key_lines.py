"""API keys know which key made them, and the keys of one client share their spend caps

Revision: 0020, after 0019. A key that another key made is linked to it where the maker still lives; where it does not,
the key stays as it is, because linking it would end it. The caps of rotated keys become those of their client: the newest
key's bounds, with what all of them have spent and hold.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    op.add_column("api_key", sa.Column("minted_by", sa.Text(), nullable=True), schema=schema)
    op.execute(
        f"""
update {schema}.api_key k set minted_by = maker.key_id
from {schema}.api_key first join {schema}.api_key maker on first.created_by = 'key:' || maker.key_id
where first.key_id = k.client and maker.client <> k.client and maker.revoked_at is null and exists (
  select from {schema}.api_key live where live.client = maker.client and live.revoked_at is null
    and (live.expires_at is null or live.expires_at > clock_timestamp()))
"""
    )
    op.execute(
        f"""
with old as (
  select l.*, k.client, k.created_at from {schema}.api_key k
  join {schema}.spend_limit l on l.scope = 'key:key:' || k.key_id
  where k.client in (select client from {schema}.api_key where key_id <> client)
), newest as (
  select distinct on (client, period) client, period, soft, hard, max(started_at) over (partition by client, period) as since
  from old order by client, period, created_at desc
), summed as (
  select o.client, o.period, coalesce(sum(o.spent) filter (where o.started_at = n.since), 0) as spent, sum(o.held) as held
  from old o join newest n using (client, period) group by o.client, o.period
)
insert into {schema}.spend_limit as l (scope, period, soft, hard, started_at, spent, held)
select 'key:key:' || client, period, soft, hard, since, spent, held from newest join summed using (client, period)
on conflict (scope, period) do update set soft = excluded.soft, hard = excluded.hard, started_at = excluded.started_at,
  spent = excluded.spent, held = excluded.held
"""
    )
    op.execute(
        f"""
delete from {schema}.spend_limit l using {schema}.api_key k
where k.key_id <> k.client and l.scope = 'key:key:' || k.key_id
"""
    )
    op.execute(
        f"""
update {schema}.charge c set limit_scopes = array(
  select coalesce('key:key:' || k.client, s.scope) from unnest(c.limit_scopes) with ordinality as s (scope, place)
  left join {schema}.api_key k on s.scope = 'key:key:' || k.key_id order by s.place)
where c.status = 0 and exists (
  select from {schema}.api_key k where k.key_id <> k.client and 'key:key:' || k.key_id = any(c.limit_scopes))
"""
    )
    op.execute(
        f"""
insert into {schema}.version as v (name, version) values ('api_keys', 1)
on conflict (name) do update set version = v.version + 1
"""
    )


def downgrade() -> None:
    op.drop_column("api_key", "minted_by", schema=context.config.attributes["schema"])
