"""SQL that adds new facts to the sums.

Each statement runs in the transaction that advances the state.
"""

from faregate.analytics.facts.conditions_sql import UNPRICED
from faregate.analytics.question.dimensions import DIMENSION_OF, Dimension
from faregate.analytics.rollups.percentiles import GAMMA, ZERO_BIN
from faregate.analytics.rollups.user_chunks import CHUNK_BITS

__all__ = [
    "ADD",
    "ADOPT",
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

_QUARTER, _HOUR = (
    f"date_bin('{length}', e.time, timestamptz '2000-01-01 00:00+00')" for length in ("15 minutes", "1 hour")
)
"""Three times as fast as date_trunc with a zone."""

_BY_USES = ("service", "feature", "organization", "country", "device", "status", "meter")
_BY_CALLS = ("model", "provider")
"""Columns of the dimensions whose requests are uses of features, and of those whose requests are calls of models."""

_DIMENSION_OF_NAME = {name: int(DIMENSION_OF[name]) for name in (*_BY_USES, *_BY_CALLS)}


def _dimension(names: tuple[str, ...]) -> str:
    """Return the dimension of a grouping set, which has one of the columns `names`, or none of them: the total."""
    cases = " ".join(f"when grouping({name}) = 0 then {_DIMENSION_OF_NAME[name]}" for name in names)
    return f"case {cases} else {int(Dimension.TOTAL)} end"


def _value(names: tuple[str, ...]) -> str:
    return f"coalesce({', '.join(names)}, '')"


_NAMED = {
    "model": "(grouping(model) = 1 or model is not null)",
    "meter": "(grouping(meter) = 1 or meter is not null)",
}
"""A fact without a model or a meter is left out of these dimensions; one without a country counts under the empty country."""


def _sets(names: tuple[str, ...], *also: str) -> str:
    """Return a grouping set of each column with the columns `also`; models come with their provider."""
    return ", ".join(f"({', '.join(('model, provider' if name == 'model' else name, *also))})" for name in names)


_SUMS = (
    *("facts", "requests", "errors", "input_tokens", "output_tokens", "credits", "charged", "cost", "latency_sum"),
    *("latency_count", "unpriced", "quantity"),
)
USER_SUMS = tuple(name for name in _SUMS if name != "quantity")


def _summed(names: tuple[str, ...], weight: str = "requests") -> str:
    """Return sums over the facts of a batch; `weight` counts requests."""
    given = {
        "facts": "sum(sign)",
        "requests": f"sum({weight})",
        "errors": f"coalesce(sum({weight}) filter (where status = 'error'), 0)",
        "cost": "coalesce(sum(cost), 0)",
        "quantity": "coalesce(sum(quantity), 0)",
        "unpriced": "coalesce(sum(sign) filter (where unpriced), 0)",
        "latency_sum": f"coalesce(sum(latency_ms * {weight}), 0)",
        "latency_count": f"coalesce(sum({weight}) filter (where latency_ms is not null), 0)",
    }
    return ", ".join(f"{given.get(name, f'sum({name})::bigint')} as {name}" for name in names)


def united(names: tuple[str, ...]) -> str:
    """Return sums over sums, in the stored types."""
    return ", ".join(f"sum({name}){'' if name in {'cost', 'quantity'} else '::bigint'} as {name}" for name in names)


def _added(table: str, names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in names)


_PART = "dimension, value, detail"
_TOTAL, _ORGANIZATION = int(Dimension.TOTAL), int(Dimension.ORGANIZATION)
_OTHERS = tuple(name for name in _BY_USES if name != "organization")

MASK = f"set_bit(0::bit({CHUNK_BITS}), (subject_id % {CHUNK_BITS})::int, 1)"

_BATCH = f"""
batch as materialized (
  select e.time, {_QUARTER} as quarter, {_HOUR} as hour, (e.time at time zone 'UTC')::date as day, e.sign, e.subject_id,
    e.service, e.model, e.provider, e.feature_key as feature, e.organization_id::text as organization, e.country,
    e.device, {STATUS} as status, e.meter, e.requests, e.calls, e.input_tokens, e.output_tokens, e.credits, e.charged,
    e.cost, {UNPRICED} as unpriced, e.latency_ms, e.quantity, {_BIN} as bin
  from faregate.usage_event e where {NEW}
)
"""  # noqa: S608

_ROLLED = f"""
quarters as materialized (
  select quarter as bucket, {_summed(_SUMS)} from batch group by 1
), finest as materialized (
  select {_dimension(_BY_USES)} as dimension, {_value(_BY_USES)} as value, '' as detail, hour, day, {_summed(_SUMS)}
  from batch group by grouping sets ({_sets(_OTHERS, "hour")}, (organization, day)) having {_NAMED["meter"]}
  union all
  select {_dimension(_BY_CALLS)}, {_value(_BY_CALLS)},
    case when grouping(model) = 0 then coalesce(provider, '') else '' end, hour, null, {_summed(_SUMS, "calls")}
  from batch group by grouping sets ({_sets(_BY_CALLS, "hour")}) having {_NAMED["model"]}
), hours as materialized (
  select {_TOTAL} as dimension, '' as value, '' as detail, date_trunc('hour', bucket, 'UTC') as bucket, {united(_SUMS)}
  from quarters group by 4
  union all select {_PART}, hour, {", ".join(_SUMS)} from finest where hour is not null
), days as materialized (
  select {_PART}, date_trunc('day', bucket, 'UTC') as bucket, {united(_SUMS)} from hours group by 1, 2, 3, 4
  union all select {_PART}, day::timestamp at time zone 'UTC', {", ".join(_SUMS)} from finest where hour is null
), months as (
  select {_PART}, date_trunc('month', bucket, 'UTC') as bucket, {united(_SUMS)} from days group by 1, 2, 3, 4
), day_bins as materialized (
  select {_dimension(_BY_USES)} as dimension, {_value(_BY_USES)} as value, '' as detail,
    day::timestamp at time zone 'UTC' as bucket, bin, sum(requests) as count
  from batch where bin is not null and requests <> 0 group by grouping sets ((day, bin), {_sets(_BY_USES, "day", "bin")})
  having {_NAMED["meter"]}
  union all
  select {_dimension(_BY_CALLS)}, {_value(_BY_CALLS)},
    case when grouping(model) = 0 then coalesce(provider, '') else '' end, day::timestamp at time zone 'UTC', bin, sum(calls)
  from batch where bin is not null and calls <> 0 group by grouping sets ({_sets(_BY_CALLS, "day", "bin")}) having {_NAMED["model"]}
), bins as (
  select {_TOTAL} as dimension, '' as value, '' as detail, 1 as grain, hour as bucket, bin, sum(requests) as count
  from batch where bin is not null and requests <> 0 group by hour, bin
  union all select {_PART}, 2, bucket, bin, count from day_bins
  union all select {_PART}, 3, date_trunc('month', bucket, 'UTC'), bin, sum(count)::bigint from day_bins
  where dimension = {_TOTAL} group by 1, 2, 3, 5, 6
), sketches as materialized (
  select {_PART}, grain, bucket, array_agg(bin) as bins, array_agg(count) as counts
  from bins where count <> 0 group by 1, 2, 3, 4, 5
), rolled as (
  insert into faregate.usage_rollup as r ({_PART}, grain, bucket, {", ".join(_SUMS)}, bins, counts)
  select {_PART}, grain, bucket, {", ".join(_SUMS)}, bins, counts from (
    select {_TOTAL} as dimension, '' as value, '' as detail, 0 as grain, bucket, {", ".join(_SUMS)} from quarters
    union all select {_PART}, 1, bucket, {", ".join(_SUMS)} from hours
    union all select {_PART}, 2, bucket, {", ".join(_SUMS)} from days
    union all select {_PART}, 3, bucket, {", ".join(_SUMS)} from months
  ) s left join sketches using ({_PART}, grain, bucket)
  order by dimension, grain, bucket
  on conflict ({_PART}, grain, bucket) do update set {_added("r", _SUMS)}, (bins, counts) = (
    select array_agg(n.bin), array_agg(n.count) from (
      select s.bin, sum(s.count)::bigint as count from (
        select unnest(r.bins) as bin, unnest(r.counts) as count
        union all select unnest(excluded.bins), unnest(excluded.counts)) s
      group by s.bin having sum(s.count) <> 0) n)
)
"""  # noqa: S608
"""Sums and sketches: of all facts by quarter-hour, of organisations by day, of the other dimensions by hour, and longer."""

_ACTIVATED = f"""
active_quarters as materialized (
  select quarter as bucket, subject_id / {CHUNK_BITS} as chunk, bit_or({MASK}) as users from batch where sign > 0 group by 1, 2
), active_hours as materialized (
  select date_trunc('hour', bucket, 'UTC') as bucket, chunk, bit_or(users) as users from active_quarters group by 1, 2
), active_days as materialized (
  select date_trunc('day', bucket, 'UTC') as bucket, chunk, bit_or(users) as users from active_hours group by 1, 2
), seen as (
  select {_dimension((*_BY_USES, *_BY_CALLS))} as dimension, {_value((*_BY_USES, *_BY_CALLS))} as value,
    month, chunk, bit_or(mask) as users
  from (select *, date_trunc('month', day::timestamp) as month, subject_id / {CHUNK_BITS} as chunk, {MASK} as mask
    from batch where sign > 0) b
  group by grouping sets ({_sets((*_BY_USES, "provider"), "month", "chunk")}, (model, month, chunk))
  having {_NAMED["meter"]} and {_NAMED["model"]}
), activated as (
  insert into faregate.usage_active as a (dimension, value, grain, bucket, chunk, users)
  select {_TOTAL}, '', 0, bucket, chunk, users from active_quarters
  union all select {_TOTAL}, '', 1, bucket, chunk, users from active_hours
  union all select {_TOTAL}, '', 2, bucket, chunk, users from active_days
  union all select {_TOTAL}, '', 3, date_trunc('month', bucket, 'UTC'), chunk, bit_or(users)
  from active_days group by 4, 5
  union all select dimension, value, 3, month at time zone 'UTC', chunk, bit_or(users) from seen group by 1, 2, 4, 5
  order by 1, 3, 4, 5
  on conflict (dimension, value, grain, bucket, chunk) do update set users = a.users | excluded.users
)
"""  # noqa: S608
"""Active users: of all facts by quarter-hour and longer, of each dimension by month."""

_PERSONAL = f"""
user_days as materialized (
  select day, subject_id, max(time) filter (where sign > 0) as last_at, {_summed(USER_SUMS)} from batch group by 1, 2
), personal as (
  insert into faregate.usage_user as u (grain, bucket, subject_id, last_at, {", ".join(USER_SUMS)})
  select 2, day, subject_id, last_at, {", ".join(USER_SUMS)} from user_days
  union all select 3, date_trunc('month', day::timestamp)::date, subject_id, max(last_at), {united(USER_SUMS)}
  from user_days group by 2, 3
  union all select 4, date_trunc('week', day::timestamp)::date, subject_id, max(last_at), {united(USER_SUMS)}
  from user_days group by 2, 3
  order by 1, 2, 3
  on conflict (grain, bucket, subject_id) do update
    set last_at = greatest(u.last_at, excluded.last_at), {_added("u", USER_SUMS)}
)
"""  # noqa: S608

ADD = f"""
with {_BATCH}, {_ROLLED}, {_ACTIVATED}, {_PERSONAL}
update faregate.rollup_state
set from_tx = :next_tx, open_txs = cast(:next_open as bigint[]), rolled_at = now(),
  facts = facts + (select count(*) from batch)
where state_id = 1
returning (select count(*) from batch) as added, (select count(*) from batch where sign < 0) as taken_back
"""  # noqa: S608

ADOPT = "update faregate.usage_event set tx = 0 where tx >= :snapshot_max"
