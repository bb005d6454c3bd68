"""The statements that add new facts to the sums. Each runs in the transaction that moves the state on."""

from faregate.analytics.models import CHUNK_BITS
from faregate.analytics.statistics import GAMMA, ZERO_BIN

__all__ = ["ADD", "ADOPT", "CLEAR", "PREPARE", "REPAIR_ACTIVE", "STATE", "WAITING"]

_NEW = """
(e.tx >= :from_tx or e.tx = any(cast(:open_txs as bigint[])))
and e.tx < :next_tx and not e.tx = any(cast(:next_open as bigint[]))
"""
"""What the old snapshot did not see and the new one does; statements of one run see more, so that they are told."""

PREPARE = """
select set_config('statement_timeout', '0', true), set_config('work_mem', '64MB', true), set_config('jit', 'off', true),
  set_config('enable_mergejoin', 'off', true)
"""
"""Room to add up a batch in memory; and no plan that is good only for the few rows that are expected of a batch."""

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
(values (0, ''), (1, b.service), (2, b.model), (3, coalesce(b.provider, '')), (4, coalesce(b.feature, '')),
  (5, coalesce(b.organization::text, '')), (6, coalesce(b.country, '')), (7, coalesce(b.device, '')),
  (8, coalesce(b.status, '')), (9, b.meter)) as d (dimension, value)
"""
"""One row for each dimension of a fact."""

_NAMES = ("service", "model", "provider", "feature", "organization", "country", "device", "status", "meter")
_KEYS = ", ".join(_NAMES)
_DIMENSION = f"""
case grouping({_KEYS}) when 511 then 0 when 255 then 1 when 319 then 2 when 383 then 2 when 447 then 3 when 479 then 4
  when 495 then 5 when 503 then 6 when 507 then 7 when 509 then 8 else 9 end
"""
"""The dimension that a grouping set is about: of the nine names, in order, each that it leaves out is a bit."""

_VALUE = f"coalesce({_KEYS}, '')"
_DETAIL = "case when grouping(model) = 0 then coalesce(provider, '') else '' end"
_NAMED = "(grouping(model) = 1 or model is not null) and (grouping(meter) = 1 or meter is not null)"
"""A fact without a model or a meter is in no part of these; one without a country is in the part that has none."""


def _each_dimension(*also: str, model: str = "model, provider") -> str:
    """Return the grouping sets of every dimension alone beside the columns `also`: all of them take one pass."""
    alone = ("", *(f", {model if name == 'model' else name}" for name in _NAMES))
    sets = (f"({', '.join(also)}{names})" for names in alone)
    return f"grouping sets ({', '.join(sets)})"


_SUMS = (
    *("facts", "requests", "errors", "input_tokens", "output_tokens", "credits", "charged", "cost", "latency_sum"),
    *("latency_count", "quantity"),
)
_CALLS = ("calls", "call_errors", "call_latency_sum", "call_latency_count")
_CUBE_SUMS = (*_SUMS, *_CALLS)
_USER_SUMS = tuple(name for name in _SUMS if name != "quantity")
_CALL_OF = dict(zip(("requests", "errors", "latency_sum", "latency_count"), _CALLS, strict=True))

_SUM_OF = {
    "facts": "sum(sign)",
    "errors": "coalesce(sum(requests) filter (where status = 'error'), 0)",
    "cost": "coalesce(sum(cost), 0)",
    "quantity": "coalesce(sum(quantity), 0)",
    "latency_sum": "coalesce(sum(latency_ms * requests), 0)",
    "latency_count": "coalesce(sum(requests) filter (where latency_ms is not null), 0)",
    "call_errors": "coalesce(sum(calls) filter (where status = 'error'), 0)",
    "call_latency_sum": "coalesce(sum(latency_ms * calls), 0)",
    "call_latency_count": "coalesce(sum(calls) filter (where latency_ms is not null), 0)",
    **{name: f"sum({name})::bigint" for name in ("input_tokens", "output_tokens", "credits", "charged")},
}


def _summed(names: tuple[str, ...]) -> str:
    """Return sums over the facts of a batch."""
    return ", ".join(f"{_SUM_OF.get(name, f'sum({name})')} as {name}" for name in names)


def _united(names: tuple[str, ...]) -> str:
    """Return sums over sums, which stay of the type that is stored."""
    return ", ".join(f"sum({name}){'' if name in {'cost', 'quantity'} else '::bigint'} as {name}" for name in names)


def _by_dimension(names: tuple[str, ...]) -> str:
    """Return the sums of a dimension: what counts as a request of a model or provider is a call."""
    called = "case when dimension in (2, 3) then {call} else {name} end as {name}"
    return ", ".join(called.format(call=_CALL_OF[name], name=name) if name in _CALL_OF else name for name in names)


def _added(table: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in names)


_PART = "dimension, value, detail"

ADD = f"""
with batch as materialized (
  select e.time, date_bin('15 minutes', e.time, timestamptz '2000-01-01 00:00+00') as quarter,
    date_trunc('hour', e.time, 'UTC') as hour, (e.time at time zone 'UTC')::date as day, e.sign, e.subject_id,
    e.service, e.model, e.provider, e.feature_key as feature, e.organization_id::text as organization, e.country,
    e.device, {_STATUS} as status, e.meter, e.requests, e.calls, e.input_tokens, e.output_tokens, e.credits, e.charged,
    e.cost, e.latency_ms, e.quantity, {_BIN} as bin
  from faregate.usage_event e where {_NEW}
), quarters as materialized (
  select {_PART}, quarter as bucket, {_by_dimension(_SUMS)} from (
    select {_DIMENSION} as dimension, {_VALUE} as value, {_DETAIL} as detail, quarter, {_summed(_CUBE_SUMS)}
    from batch group by {_each_dimension("quarter")} having {_NAMED}
  ) q
), hours as materialized (
  select {_PART}, date_trunc('hour', bucket, 'UTC') as bucket, {_united(_SUMS)} from quarters group by 1, 2, 3, 4
), days as materialized (
  select {_PART}, date_trunc('day', bucket, 'UTC') as bucket, {_united(_SUMS)} from hours group by 1, 2, 3, 4
), months as (
  select {_PART}, date_trunc('month', bucket, 'UTC') as bucket, {_united(_SUMS)} from days group by 1, 2, 3, 4
), day_bins as materialized (
  select {_PART}, day::timestamp at time zone 'UTC' as bucket, bin,
    case when dimension in (2, 3) then calls else requests end as count
  from (
    select {_DIMENSION} as dimension, {_VALUE} as value, {_DETAIL} as detail, day, bin, sum(requests) as requests,
      sum(calls) as calls
    from batch where bin is not null group by {_each_dimension("day", "bin")} having {_NAMED}
  ) q
), bins as (
  select 0 as dimension, '' as value, '' as detail, 1 as grain, hour as bucket, bin, sum(requests) as count
  from batch where bin is not null group by hour, bin
  union all select {_PART}, 2, bucket, bin, count from day_bins
  union all select {_PART}, 3, date_trunc('month', bucket, 'UTC'), bin, sum(count)::bigint from day_bins
  group by 1, 2, 3, 5, 6
), sketches as materialized (
  select {_PART}, grain, bucket, array_agg(bin) as bins, array_agg(count) as counts
  from bins where count <> 0 group by 1, 2, 3, 4, 5
), rolled as (
  insert into faregate.usage_rollup as r ({_PART}, grain, bucket, {", ".join(_SUMS)}, bins, counts)
  select {_PART}, grain, bucket, {", ".join(_SUMS)}, coalesce(bins, '{{}}'), coalesce(counts, '{{}}') from (
    select 0 as grain, * from quarters union all select 1, * from hours union all select 2, * from days
    union all select 3, * from months
  ) s left join sketches using ({_PART}, grain, bucket)
  on conflict ({_PART}, grain, bucket) do update set {_added("r", _SUMS)}, (bins, counts) = (
    select coalesce(array_agg(n.bin), '{{}}'), coalesce(array_agg(n.count), '{{}}') from (
      select s.bin, sum(s.count)::bigint as count from (
        select unnest(r.bins) as bin, unnest(r.counts) as count
        union all select unnest(excluded.bins), unnest(excluded.counts)) s
      group by s.bin having sum(s.count) <> 0) n)
), active_hours as materialized (
  select {_DIMENSION} as dimension, {_VALUE} as value, hour as bucket, chunk, bit_or(mask) as users
  from (
    select {_KEYS}, hour, subject_id / {CHUNK_BITS} as chunk,
      set_bit(0::bit({CHUNK_BITS}), (subject_id % {CHUNK_BITS})::int, 1) as mask
    from batch where sign > 0
  ) b group by {_each_dimension("hour", "chunk", model="model")} having {_NAMED}
), active_days as materialized (
  select dimension, value, date_trunc('day', bucket, 'UTC') as bucket, chunk, bit_or(users) as users
  from active_hours group by 1, 2, 3, 4
), activated as (
  insert into faregate.usage_active as a (dimension, value, grain, bucket, chunk, users)
  select dimension, value, 1, bucket, chunk, users from active_hours
  union all select dimension, value, 2, bucket, chunk, users from active_days
  union all select dimension, value, 3, date_trunc('month', bucket, 'UTC'), chunk, bit_or(users)
  from active_days group by 1, 2, 4, 5
  on conflict (dimension, value, grain, bucket, chunk) do update set users = a.users | excluded.users
), cubed as (
  insert into faregate.usage_cube as c (day, cell, {_KEYS}, {", ".join(_CUBE_SUMS)})
  select day, md5(concat_ws(e'\\x1f', service, coalesce(model, e'\\x1e'), coalesce(provider, e'\\x1e'),
      coalesce(feature, e'\\x1e'), coalesce(organization, e'\\x1e'), coalesce(country, e'\\x1e'),
      coalesce(device, e'\\x1e'), coalesce(status, e'\\x1e'), coalesce(meter, e'\\x1e')))::uuid,
    {_KEYS.replace("organization", "organization::bigint")}, {", ".join(_CUBE_SUMS)}
  from (select day, {_KEYS}, {_summed(_CUBE_SUMS)} from batch group by day, {_KEYS}) q
  on conflict (day, cell) do update set {_added("c", _CUBE_SUMS)}
), personal as (
  insert into faregate.usage_user_day as u (service, day, subject_id, last_at, {", ".join(_USER_SUMS)})
  select coalesce(service, ''), day, subject_id, max(time) filter (where sign > 0), {_summed(_USER_SUMS)}
  from batch group by grouping sets ((day, subject_id), (service, day, subject_id))
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
