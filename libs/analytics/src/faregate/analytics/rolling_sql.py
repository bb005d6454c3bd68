"""The statements that add new facts to the sums. Each runs in the transaction that moves the state on."""

from faregate.analytics.models import CHUNK_BITS
from faregate.analytics.statistics import GAMMA, ZERO_BIN

__all__ = ["ADD", "ADOPT", "CLEAR", "REPAIR_ACTIVE", "STATE", "WAITING"]

_NEW = """
(e.tx >= :from_tx or e.tx = any(cast(:open_txs as bigint[])))
and e.tx < :next_tx and not e.tx = any(cast(:next_open as bigint[]))
"""
"""What the old snapshot did not see and the new one does; statements of one run see more, so that they are told."""

STATE = """
select from_tx, open_txs, rolled_at, facts,
  pg_snapshot_xmin(pg_current_snapshot())::text::bigint as snapshot_min,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint as snapshot_max,
  array(select x::text::bigint from pg_snapshot_xip(pg_current_snapshot()) x) as in_progress
from faregate.rollup_state where state_id = 1
"""

WAITING = """
select e.tx, count(*) as facts from faregate.usage_event e
where e.tx >= :from_tx or e.tx = any(cast(:open_txs as bigint[]))
group by e.tx order by e.tx
"""

_STATUS = "case when e.status >= 400 then 'error' when e.status is not null then 'success' end"

_BIN = (
    f"case when e.latency_ms <= 0 then {ZERO_BIN} else ceil(ln(e.latency_ms::float8) / ln({GAMMA!r}::float8))::int end"
)

_DIMENSIONS = """
(values (0, '', '', b.requests), (1, b.service, '', b.requests), (2, b.model, coalesce(b.provider, ''), b.calls),
  (3, coalesce(b.provider, ''), '', b.calls), (4, coalesce(b.feature, ''), '', b.requests),
  (5, coalesce(b.organization::text, ''), '', b.requests), (6, coalesce(b.country, ''), '', b.requests),
  (7, coalesce(b.device, ''), '', b.requests), (8, coalesce(b.status, ''), '', b.requests), (9, b.meter, '', b.requests))
  as d (dimension, value, detail, weight)
"""
"""One row for each dimension of a fact; what counts as a request of a model or provider is a call."""

_SUMS = (
    *("facts", "requests", "errors", "input_tokens", "output_tokens", "credits", "charged", "cost", "latency_sum"),
    *("latency_count", "quantity"),
)
_CUBE_SUMS = (*_SUMS, "calls", "call_errors", "call_latency_sum", "call_latency_count")
_USER_SUMS = tuple(name for name in _SUMS if name != "quantity")


def _added(table: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in names)


def _sums(names: tuple[str, ...]) -> str:
    return ", ".join(f"sum({name}) as {name}" for name in names)


_GRAINS = """
(values (0, m.quarter), (1, date_trunc('hour', m.quarter, 'UTC')), (2, date_trunc('day', m.quarter, 'UTC')),
  (3, date_trunc('month', m.quarter, 'UTC'))) as g (grain, bucket)
"""

ADD = f"""
with batch as materialized (
  select e.time, date_bin('15 minutes', e.time, timestamptz '2000-01-01 00:00+00') as quarter, e.sign, e.subject_id,
    e.service, e.model, e.provider, e.feature_key as feature, e.organization_id as organization, e.country, e.device,
    {_STATUS} as status, e.meter, e.requests, e.calls, e.input_tokens, e.output_tokens, e.credits, e.charged,
    coalesce(e.cost, 0) as cost, e.latency_ms::bigint as latency_ms, coalesce(e.quantity, 0) as quantity, {_BIN} as bin
  from faregate.usage_event e where {_NEW}
), marks as materialized (
  select d.dimension, d.value, d.detail, b.quarter, b.bin,
    sum(b.sign) as facts, sum(d.weight) as requests, coalesce(sum(d.weight) filter (where b.status = 'error'), 0) as errors,
    sum(b.input_tokens) as input_tokens, sum(b.output_tokens) as output_tokens, sum(b.credits) as credits,
    sum(b.charged) as charged, sum(b.cost) as cost, coalesce(sum(b.latency_ms * d.weight), 0) as latency_sum,
    coalesce(sum(d.weight) filter (where b.latency_ms is not null), 0) as latency_count, sum(b.quantity) as quantity
  from batch b cross join lateral {_DIMENSIONS} where d.value is not null
  group by 1, 2, 3, 4, 5
), binned as materialized (
  select m.dimension, m.value, m.detail, g.grain, g.bucket, m.bin, {_sums(_SUMS)}
  from marks m cross join lateral {_GRAINS} group by 1, 2, 3, 4, 5, 6
), rolled as (
  insert into faregate.usage_rollup as r (dimension, value, detail, grain, bucket, {", ".join(_SUMS)}, bins, counts)
  select dimension, value, detail, grain, bucket, {_sums(_SUMS)},
    coalesce(array_agg(bin order by bin) filter (where latency_count <> 0), '{{}}'),
    coalesce(array_agg(latency_count order by bin) filter (where latency_count <> 0), '{{}}')
  from binned group by 1, 2, 3, 4, 5
  on conflict (dimension, value, detail, grain, bucket) do update set {_added("r", _SUMS)}, (bins, counts) = (
    select coalesce(array_agg(n.bin order by n.bin), '{{}}'), coalesce(array_agg(n.count order by n.bin), '{{}}') from (
      select s.bin, sum(s.count)::bigint as count from (
        select unnest(r.bins) as bin, unnest(r.counts) as count
        union all select unnest(excluded.bins), unnest(excluded.counts)) s
      group by s.bin having sum(s.count) <> 0) n)
), seen as materialized (
  select d.dimension, d.value, date_trunc('hour', b.quarter, 'UTC') as hour, b.subject_id
  from batch b cross join lateral {_DIMENSIONS} where d.value is not null and b.sign > 0 group by 1, 2, 3, 4
), hours as materialized (
  select dimension, value, hour, subject_id / {CHUNK_BITS} as chunk,
    bit_or(set_bit(0::bit({CHUNK_BITS}), (subject_id % {CHUNK_BITS})::int, 1)) as users
  from seen group by 1, 2, 3, 4
), activated as (
  insert into faregate.usage_active as a (dimension, value, grain, bucket, chunk, users)
  select h.dimension, h.value, g.grain, g.bucket, h.chunk, bit_or(h.users)
  from hours h cross join lateral (values (1, h.hour), (2, date_trunc('day', h.hour, 'UTC')),
    (3, date_trunc('month', h.hour, 'UTC'))) as g (grain, bucket)
  group by 1, 2, 3, 4, 5
  on conflict (dimension, value, grain, bucket, chunk) do update set users = a.users | excluded.users
), cubed as (
  insert into faregate.usage_cube as c (day, cell, service, model, provider, feature, organization, country, device,
    status, meter, {", ".join(_CUBE_SUMS)})
  select day, md5(concat_ws(e'\\x1f', service, coalesce(model, e'\\x1e'), coalesce(provider, e'\\x1e'),
      coalesce(feature, e'\\x1e'), coalesce(organization::text, e'\\x1e'), coalesce(country, e'\\x1e'),
      coalesce(device, e'\\x1e'), coalesce(status, e'\\x1e'), coalesce(meter, e'\\x1e')))::uuid,
    service, model, provider, feature, organization, country, device, status, meter, {", ".join(_CUBE_SUMS)}
  from (
    select (b.quarter at time zone 'UTC')::date as day, b.service, b.model, b.provider, b.feature, b.organization,
      b.country, b.device, b.status, b.meter,
      sum(b.sign) as facts, sum(b.requests) as requests,
      coalesce(sum(b.requests) filter (where b.status = 'error'), 0) as errors, sum(b.input_tokens) as input_tokens,
      sum(b.output_tokens) as output_tokens, sum(b.credits) as credits, sum(b.charged) as charged, sum(b.cost) as cost,
      coalesce(sum(b.latency_ms * b.requests), 0) as latency_sum,
      coalesce(sum(b.requests) filter (where b.latency_ms is not null), 0) as latency_count, sum(b.quantity) as quantity,
      sum(b.calls) as calls, coalesce(sum(b.calls) filter (where b.status = 'error'), 0) as call_errors,
      coalesce(sum(b.latency_ms * b.calls), 0) as call_latency_sum,
      coalesce(sum(b.calls) filter (where b.latency_ms is not null), 0) as call_latency_count
    from batch b group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
  ) q
  on conflict (day, cell) do update set {_added("c", _CUBE_SUMS)}
), personal as (
  insert into faregate.usage_user_day as u (service, day, subject_id, last_at, {", ".join(_USER_SUMS)})
  select s.service, (b.quarter at time zone 'UTC')::date, b.subject_id, max(b.time) filter (where b.sign > 0),
    sum(b.sign), sum(b.requests), coalesce(sum(b.requests) filter (where b.status = 'error'), 0), sum(b.input_tokens),
    sum(b.output_tokens), sum(b.credits), sum(b.charged), sum(b.cost), coalesce(sum(b.latency_ms * b.requests), 0),
    coalesce(sum(b.requests) filter (where b.latency_ms is not null), 0)
  from batch b cross join lateral (values (''), (b.service)) s (service) group by 1, 2, 3
  on conflict (service, day, subject_id) do update
    set last_at = greatest(u.last_at, excluded.last_at), {_added("u", _USER_SUMS)}
)
update faregate.rollup_state
set from_tx = :next_tx, open_txs = cast(:next_open as bigint[]), rolled_at = now(),
  facts = facts + (select count(*) from batch)
where state_id = 1
returning (select count(*) from batch) as added, (select count(*) from batch where sign < 0) as taken_back
"""  # noqa: S608

REPAIR_ACTIVE = f"""
with gone as (
  select distinct e.subject_id, d.dimension, d.value, g.grain, g.bucket, g.until
  from faregate.usage_event e
  cross join lateral (select e.requests, e.calls, e.service, e.model, e.provider, e.feature_key as feature,
    e.organization_id as organization, e.country, e.device, {_STATUS} as status, e.meter) b
  cross join lateral {_DIMENSIONS}
  cross join lateral (values
    (1, date_trunc('hour', e.time, 'UTC'), date_trunc('hour', e.time, 'UTC') + interval '1 hour'),
    (2, date_trunc('day', e.time, 'UTC'), date_trunc('day', e.time, 'UTC') + interval '1 day'),
    (3, date_trunc('month', e.time, 'UTC'), date_trunc('month', e.time, 'UTC') + interval '1 month'))
    as g (grain, bucket, until)
  where e.sign < 0 and d.value is not null and {_NEW}
), dead as (
  select gone.* from gone where not exists (
    select 1 from faregate.usage_event e
    where e.subject_id = gone.subject_id and e.time >= gone.bucket and e.time < gone.until
      and (e.tx < :next_tx and not e.tx = any(cast(:next_open as bigint[])))
      and case gone.dimension when 0 then '' when 1 then e.service when 2 then e.model
        when 3 then coalesce(e.provider, '') when 4 then coalesce(e.feature_key, '')
        when 5 then coalesce(e.organization_id::text, '') when 6 then coalesce(e.country, '')
        when 7 then coalesce(e.device, '') when 8 then coalesce({_STATUS}, '') when 9 then e.meter end = gone.value
    having sum(e.sign) > 0)
)
update faregate.usage_active a set users = a.users & ~m.mask
from (
  select dimension, value, grain, bucket, subject_id / {CHUNK_BITS} as chunk,
    bit_or(set_bit(0::bit({CHUNK_BITS}), (subject_id % {CHUNK_BITS})::int, 1)) as mask
  from dead group by 1, 2, 3, 4, 5
) m
where a.dimension = m.dimension and a.value = m.value and a.grain = m.grain and a.bucket = m.bucket and a.chunk = m.chunk
"""  # noqa: S608

ADOPT = "update faregate.usage_event set tx = 0 where tx >= :snapshot_max"

CLEAR = (
    "delete from faregate.usage_rollup where bucket >= :since",
    "delete from faregate.usage_active where bucket >= :since",
    "delete from faregate.usage_cube where day >= cast(:since as timestamptz)",
    "delete from faregate.usage_user_day where day >= cast(:since as timestamptz)",
    "update faregate.rollup_state set from_tx = 0, open_txs = '{}', facts = 0 where state_id = 1",
)
