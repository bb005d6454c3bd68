"""SQL of repairs and rebuilds of rollups."""

from faregate.analytics.rollups.sql import MASK, NEW, STATUS, USER_SUMS, united
from faregate.analytics.rollups.user_chunks import CHUNK_BITS

__all__ = ["CLEAR", "REPAIR"]

_DIMENSIONS = """
(values (0, ''), (1, b.service), (2, b.model), (3, coalesce(b.provider, '')), (4, coalesce(b.feature, '')),
  (5, coalesce(b.organization::text, '')), (6, coalesce(b.country, '')), (7, coalesce(b.device, '')),
  (8, coalesce(b.status, '')), (9, b.meter)) as d (dimension, value)
"""
"""One row for each dimension of a fact."""

_REPAIR_ACTIVE = f"""
with gone as (
  select distinct e.subject_id, d.dimension, d.value, g.grain, g.bucket, g.until
  from faregate.usage_event e
  cross join lateral (select e.requests, e.calls, e.service, e.model, e.provider, e.feature_key as feature,
    e.organization_id as organization, e.country, e.device, {STATUS} as status, e.meter) b
  cross join lateral {_DIMENSIONS}
  cross join lateral (select date_bin('15 minutes', e.time, timestamptz '2000-01-01 00:00+00') as quarter) q
  cross join lateral (values
    (0, q.quarter, q.quarter + interval '15 minutes'),
    (1, date_trunc('hour', e.time, 'UTC'), date_trunc('hour', e.time, 'UTC') + interval '1 hour'),
    (2, date_trunc('day', e.time, 'UTC'), date_trunc('day', e.time, 'UTC') + interval '1 day'),
    (3, date_trunc('month', e.time, 'UTC'), date_trunc('month', e.time, 'UTC') + interval '1 month'))
    as g (grain, bucket, until)
  where e.sign < 0 and d.value is not null and (d.dimension = 0 or g.grain = 3) and {NEW}
), dead as (
  select gone.* from gone where not exists (
    select 1 from faregate.usage_event e
    where e.subject_id = gone.subject_id and e.time >= gone.bucket and e.time < gone.until
      and (e.tx < :next_tx and not e.tx = any(cast(:next_open as bigint[])))
      and case gone.dimension when 0 then '' when 1 then e.service when 2 then e.model
        when 3 then coalesce(e.provider, '') when 4 then coalesce(e.feature_key, '')
        when 5 then coalesce(e.organization_id::text, '') when 6 then coalesce(e.country, '')
        when 7 then coalesce(e.device, '') when 8 then coalesce({STATUS}, '') when 9 then e.meter end = gone.value
    having sum(e.sign) > 0)
)
update faregate.usage_active a set users = a.users & ~m.mask
from (
  select dimension, value, grain, bucket, subject_id / {CHUNK_BITS} as chunk, bit_or({MASK}) as mask
  from dead group by 1, 2, 3, 4, 5
) m
where a.dimension = m.dimension and a.value = m.value and a.grain = m.grain and a.bucket = m.bucket and a.chunk = m.chunk
"""  # noqa: S608

REPAIR = (_REPAIR_ACTIVE,)
"""Activity cannot be subtracted: for subjects with voided facts it is read again, in the buckets of those facts."""

CLEAR = (
    "delete from faregate.usage_rollup where bucket >= :since",
    "delete from faregate.usage_active where bucket >= :since",
    "delete from faregate.usage_user where bucket >= cast(:since as timestamptz)",
    "delete from faregate.usage_user where grain = 4 and bucket >= date_trunc('week', cast(:since as timestamptz))",
    f"""
    insert into faregate.usage_user (grain, bucket, subject_id, last_at, {", ".join(USER_SUMS)})
    select 4, date_trunc('week', cast(:since as timestamptz))::date, subject_id, max(last_at),
      {united(USER_SUMS)}
    from faregate.usage_user
    where grain = 2 and bucket >= date_trunc('week', cast(:since as timestamptz)) and bucket < cast(:since as timestamptz)
    group by subject_id
    """,  # noqa: S608  the week that begins in an archived month
    "update faregate.rollup_state set from_tx = 0, open_txs = '{}', facts = 0 where state_id = 1",
)
