"""SQL that adds new facts to the sums.

Each statement runs in the transaction that advances the state.
"""

from faregate.analytics.models import CHUNK_BITS
from faregate.analytics.rollups.percentiles import GAMMA, ZERO_BIN

__all__ = [
    "ADD",
    "ADOPT",
    "CELL",
    "LOCK",
    "MASK",
    "NEW",
    "PREPARE",
    "STATE",
    "STATUS",
    "USER_SUMS",
    "WAITING",
    "united",
]

LOCK = "select 1 from faregate.rollup_state where state_id = 1 for update"
"""The lock that allows one run at a time."""

NEW = """
(e.tx >= :from_tx or e.tx = any(cast(:open_txs as bigint[])))
and e.tx < :next_tx and not e.tx = any(cast(:next_open as bigint[]))
"""
"""The facts that the new snapshot sees and the old one did not. The statements of a run could see more facts, so the
snapshots are parameters."""

PREPARE = """
select set_config('statement_timeout', '0', true), set_config('work_mem', '64MB', true), set_config('jit', 'off', true),
  set_config('enable_mergejoin', 'off', true)
"""
"""Memory to add up a batch, and no plan that is fast only for the few rows that the planner expects of a batch."""

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

STATUS = "case when e.status >= 400 then 'error' when e.status is not null then 'success' end"

_BIN = (
    f"case when e.latency_ms <= 0 then {ZERO_BIN} else ceil(ln(e.latency_ms::float8) / ln({GAMMA!r}::float8))::int end"
)

_NAMES = ("service", "model", "provider", "feature", "organization", "country", "device", "status", "meter")
_KEYS = ", ".join(_NAMES)
_DIMENSION = f"""
case grouping({_KEYS}) when 511 then 0 when 255 then 1 when 319 then 2 when 383 then 2 when 447 then 3 when 479 then 4
  when 495 then 5 when 503 then 6 when 507 then 7 when 509 then 8 else 9 end
"""
"""The dimension of a grouping set: each of the nine columns, in order, is a bit that is set if the set leaves it out."""

_VALUE = f"coalesce({_KEYS}, '')"
_DETAIL = "case when grouping(model) = 0 then coalesce(provider, '') else '' end"
_NAMED = "(grouping(model) = 1 or model is not null) and (grouping(meter) = 1 or meter is not null)"
"""A fact without a model or a meter is left out of these dimensions; one without a country counts under the empty country."""


def _each_dimension(*also: str, model: str = "model, provider") -> str:
    """Return the grouping sets of every single dimension with the columns `also`; all of them are computed in one pass."""
    alone = ("", *(f", {model if name == 'model' else name}" for name in _NAMES))
    sets = (f"({', '.join(also)}{names})" for names in alone)
    return f"grouping sets ({', '.join(sets)})"


_SUMS = (
    *("facts", "requests", "errors", "input_tokens", "output_tokens", "credits", "charged", "cost", "latency_sum"),
    *("latency_count", "unpriced", "quantity"),
)
_CALLS = ("calls", "call_errors", "call_latency_sum", "call_latency_count")
_CUBE_SUMS = (*_SUMS, *_CALLS)
USER_SUMS = tuple(name for name in _SUMS if name != "quantity")
_CALL_OF = dict(zip(("requests", "errors", "latency_sum", "latency_count"), _CALLS, strict=True))

_SUM_OF = {
    "facts": "sum(sign)",
    "errors": "coalesce(sum(requests) filter (where status = 'error'), 0)",
    "cost": "coalesce(sum(cost), 0)",
    "quantity": "coalesce(sum(quantity), 0)",
    "unpriced": """coalesce(sum(sign) filter (
      where cost is null and (calls <> 0 or input_tokens + output_tokens <> 0)), 0)""",
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


def united(names: tuple[str, ...]) -> str:
    """Return sums over sums, in the stored types."""
    return ", ".join(f"sum({name}){'' if name in {'cost', 'quantity'} else '::bigint'} as {name}" for name in names)


def _by_dimension(names: tuple[str, ...]) -> str:
    """Return the sums of a dimension: for models and providers, calls count as requests."""
    called = "case when dimension in (2, 3) then {call} else {name} end as {name}"
    return ", ".join(called.format(call=_CALL_OF[name], name=name) if name in _CALL_OF else name for name in names)


def _added(table: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in names)


_PART = "dimension, value, detail"

CELL = f"""
md5(concat_ws(e'\\x1f', e.service, coalesce(e.model, e'\\x1e'), coalesce(e.provider, e'\\x1e'),
  coalesce(e.feature_key, e'\\x1e'), coalesce(e.organization_id::text, e'\\x1e'), coalesce(e.country, e'\\x1e'),
  coalesce(e.device, e'\\x1e'), coalesce({STATUS}, e'\\x1e'), coalesce(e.meter, e'\\x1e')))::uuid
"""
"""The identifier of a combination of values."""

MASK = f"set_bit(0::bit({CHUNK_BITS}), (subject_id % {CHUNK_BITS})::int, 1)"

ADD = f"""
with batch as materialized (
  select e.time, date_bin('15 minutes', e.time, timestamptz '2000-01-01 00:00+00') as quarter,
    date_trunc('hour', e.time, 'UTC') as hour, (e.time at time zone 'UTC')::date as day, e.sign, e.subject_id,
    e.service, e.model, e.provider, e.feature_key as feature, e.organization_id::text as organization, e.country,
    e.device, {STATUS} as status, e.meter, e.requests, e.calls, e.input_tokens, e.output_tokens, e.credits, e.charged,
    e.cost, e.latency_ms, e.quantity, {_BIN} as bin, {CELL} as cell
  from faregate.usage_event e where {NEW}
), quarters as materialized (
  select {_PART}, quarter as bucket, {_by_dimension(_SUMS)} from (
    select {_DIMENSION} as dimension, {_VALUE} as value, {_DETAIL} as detail, quarter, {_summed(_CUBE_SUMS)}
    from batch group by {_each_dimension("quarter")} having {_NAMED}
  ) q
), hours as materialized (
  select {_PART}, date_trunc('hour', bucket, 'UTC') as bucket, {united(_SUMS)} from quarters group by 1, 2, 3, 4
), days as materialized (
  select {_PART}, date_trunc('day', bucket, 'UTC') as bucket, {united(_SUMS)} from hours group by 1, 2, 3, 4
), months as (
  select {_PART}, date_trunc('month', bucket, 'UTC') as bucket, {united(_SUMS)} from days group by 1, 2, 3, 4
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
), active_quarters as materialized (
  select {_DIMENSION} as dimension, {_VALUE} as value, quarter as bucket, chunk, bit_or(mask) as users
  from (select {_KEYS}, quarter, subject_id / {CHUNK_BITS} as chunk, {MASK} as mask from batch where sign > 0) b
  group by {_each_dimension("quarter", "chunk", model="model")} having {_NAMED}
), active_hours as materialized (
  select dimension, value, date_trunc('hour', bucket, 'UTC') as bucket, chunk, bit_or(users) as users
  from active_quarters group by 1, 2, 3, 4
), active_days as materialized (
  select dimension, value, date_trunc('day', bucket, 'UTC') as bucket, chunk, bit_or(users) as users
  from active_hours group by 1, 2, 3, 4
), activated as (
  insert into faregate.usage_active as a (dimension, value, grain, bucket, chunk, users)
  select dimension, value, 0, bucket, chunk, users from active_quarters
  union all select dimension, value, 1, bucket, chunk, users from active_hours
  union all select dimension, value, 2, bucket, chunk, users from active_days
  union all select dimension, value, 3, date_trunc('month', bucket, 'UTC'), chunk, bit_or(users)
  from active_days group by 1, 2, 4, 5
  on conflict (dimension, value, grain, bucket, chunk) do update set users = a.users | excluded.users
), cell_sketches as (
  select day, cell, array_agg(bin) as bins, array_agg(count) as counts, array_agg(call_count) as call_counts from (
    select day, cell, bin, sum(requests) as count, sum(calls) as call_count from batch where bin is not null
    group by 1, 2, 3) b
  where count <> 0 or call_count <> 0 group by 1, 2
), cubed as (
  insert into faregate.usage_cube as c (day, cell, {_KEYS}, {", ".join(_CUBE_SUMS)}, bins, counts, call_counts)
  select day, cell, {_KEYS.replace("organization", "organization::bigint")}, {", ".join(_CUBE_SUMS)},
    coalesce(bins, '{{}}'), coalesce(counts, '{{}}'), coalesce(call_counts, '{{}}')
  from (select day, cell, {_KEYS}, {_summed(_CUBE_SUMS)} from batch group by day, cell, {_KEYS}) q
  left join cell_sketches using (day, cell)
  on conflict (day, cell) do update set {_added("c", _CUBE_SUMS)}, (bins, counts, call_counts) = (
    select coalesce(array_agg(n.bin), '{{}}'), coalesce(array_agg(n.count), '{{}}'),
      coalesce(array_agg(n.call_count), '{{}}')
    from (
      select s.bin, sum(s.count)::bigint as count, sum(s.call_count)::bigint as call_count from (
        select unnest(c.bins) as bin, unnest(c.counts) as count, unnest(c.call_counts) as call_count
        union all select unnest(excluded.bins), unnest(excluded.counts), unnest(excluded.call_counts)) s
      group by s.bin having sum(s.count) <> 0 or sum(s.call_count) <> 0) n)
), cell_activated as (
  insert into faregate.usage_cube_active as a (day, cell, chunk, users)
  select day, cell, chunk, bit_or(mask)
  from (select day, cell, subject_id / {CHUNK_BITS} as chunk, {MASK} as mask from batch where sign > 0) b
  group by 1, 2, 3
  on conflict (day, cell, chunk) do update set users = a.users | excluded.users
), user_days as materialized (
  select coalesce(service, '') as service, day, subject_id, max(time) filter (where sign > 0) as last_at,
    {_summed(USER_SUMS)}
  from batch group by grouping sets ((day, subject_id), (service, day, subject_id))
), personal as (
  insert into faregate.usage_user as u (service, grain, bucket, subject_id, last_at, {", ".join(USER_SUMS)})
  select service, 2, day, subject_id, last_at, {", ".join(USER_SUMS)} from user_days
  union all select service, 3, date_trunc('month', day)::date, subject_id, max(last_at), {united(USER_SUMS)}
  from user_days group by 1, 3, 4
  union all select service, 4, date_trunc('week', day)::date, subject_id, max(last_at), {united(USER_SUMS)}
  from user_days group by 1, 3, 4
  on conflict (service, grain, bucket, subject_id) do update
    set last_at = greatest(u.last_at, excluded.last_at), {_added("u", USER_SUMS)}
)
update faregate.rollup_state
set from_tx = :next_tx, open_txs = cast(:next_open as bigint[]), rolled_at = now(),
  facts = facts + (select count(*) from batch)
where state_id = 1
returning (select count(*) from batch) as added, (select count(*) from batch where sign < 0) as taken_back
"""  # noqa: S608

ADOPT = "update faregate.usage_event set tx = 0 where tx >= :snapshot_max"
