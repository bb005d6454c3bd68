"""SQL of returns, lines of models and what-if calculations."""

from collections.abc import Sequence

from faregate.analytics.facts.conditions_sql import UNPRICED, conditions
from faregate.analytics.insights.costs.values import ReturnBy
from faregate.analytics.question.filters import Filters
from faregate.usage.pricing.linear_prices import PLAIN_COUNTS

__all__ = ["LINE_FILTERS", "line_models_sql", "line_sums_sql", "returns_sql", "scenario_sql"]

_KEYS: dict[ReturnBy, tuple[str, str]] = {
    "feature": ("e.feature_key", ""),
    "plan": ("w.plan", "left join faregate.wallet w on w.wallet_id = e.subject_id"),
    "user": ("e.subject_id", ""),
}

LINE_FILTERS = {
    "feature": "c.feature_key = :feature",
    "model": "l.model = any(cast(:model as text[]))",
    "provider": "l.provider = any(cast(:provider as text[]))",
    "user_id": "c.subject_id = (select subject_id from faregate.subject where external_id = :user_id)",
    "organization_id": "c.organization_id = (select subject_id from faregate.subject where external_id = :organization_id)",
}
"""The filters that lines of settled uses can have."""

_CACHE = ("input_tokens", "cache_read_tokens", "cache_write_tokens")


def _count(name: str, *, when: str | None = None) -> str:
    value = f"coalesce((l.tokens->>'{name}')::bigint, 0)"
    return f"{value} as {name}" if when is None else f"case when {when} then {value} end as {name}"


_COUNTS = ", ".join(_count(name) for name in PLAIN_COUNTS)
_NAMES = "array[" + ", ".join(f"'{name}'" for name in PLAIN_COUNTS) + "]"

_QUANTILE, _WINDOW_SECONDS = 0.05, 300


def returns_sql(by: ReturnBy, filters: Filters) -> str:
    """Return the query for the sums of each feature, plan or user; uses with a call of unknown cost are summed apart."""
    key, join = _KEYS[by]
    known = f"p.usage_key is null and not ({UNPRICED})"
    return f"""
    with parked as materialized (
      select e.usage_key from faregate.usage_event e
      where e.time >= :start and e.time < :end and e.usage_key is not null and {UNPRICED}
      group by 1 having sum(e.sign) > 0
    )
    select {key} as key,
      coalesce(sum(e.requests) filter (where {known}), 0)::bigint as uses,
      coalesce(sum(e.credits) filter (where {known}), 0)::bigint as consumed,
      coalesce(sum(e.charged) filter (where {known}), 0)::bigint as charged,
      coalesce(sum(e.cost) filter (where {known}), 0)::numeric as cost,
      coalesce(sum(e.requests) filter (where not ({known})), 0)::bigint as unpriced_uses,
      coalesce(sum(e.charged) filter (where not ({known})), 0)::bigint as unpriced_charged,
      coalesce(sum(e.cost) filter (where not ({known})), 0)::numeric as unpriced_cost,
      coalesce(sum(e.input_tokens + e.output_tokens) filter (where {UNPRICED}), 0)::bigint as unpriced_tokens
    from faregate.usage_event e left join parked p on p.usage_key = e.usage_key {join}
    where {conditions(filters)} group by 1 having sum(e.sign) > 0
    """  # noqa: S608


def _line_conditions(filters: Filters) -> str:
    parts = ["l.settled_at >= :start", "l.settled_at < :end", *(LINE_FILTERS[name] for name in filters.given)]
    return " and ".join(parts)


def line_models_sql(filters: Filters) -> str:
    """Return the query for the models of the lines."""
    return f"""
    select distinct l.model, l.provider, l.service_tier
    from faregate.usage_line l join faregate.charge c using (usage_key)
    where {_line_conditions(filters)} and l.model is not null
    """  # noqa: S608


def line_sums_sql(filters: Filters) -> str:
    """Return the query for the sums of priced lines by group, day of their start and band of input; `:bands` are its limits.

    `plain` tells lines that have counts of text only, which are consistent, from others.
    """
    sums = ", ".join(f"sum({name})::bigint as {name}" for name in PLAIN_COUNTS)
    cached = "cache_read_tokens + cache_write_tokens"
    return f"""
    with lines as (
      select c.feature_key collate "C" as feature_key, l.model collate "C" as model, l.provider collate "C" as provider,
        l.service_tier collate "C" as service_tier, l.provider_cost_usd, l.settled_at, c.created_at, {_COUNTS},
        l.tokens - {_NAMES} = '{{}}' as plain
      from faregate.usage_line l join faregate.charge c using (usage_key)
      where {_line_conditions(filters)} and l.model is not null and l.provider_cost_usd is not null
    )
    select feature_key, model, provider, service_tier, (created_at at time zone 'UTC')::date as day,
      width_bucket(input_tokens, cast(:bands as bigint[])) as band, plain and input_tokens >= {cached} as plain,
      count(*) as lines, sum(provider_cost_usd) as cost, {sums},
      percentile_disc({_QUANTILE}) within group (order by input_tokens - ({cached})) as prefix,
      count(distinct floor(extract(epoch from settled_at) / {_WINDOW_SECONDS})) as windows
    from lines group by 1, 2, 3, 4, 5, 6, 7 order by 5, 1, 2
    """  # noqa: S608


def scenario_sql(filters: Filters, margins: Sequence[Sequence[str]], counts: Sequence[str]) -> str:
    """Return the query that prices the lines of settled uses again, and sums them by feature, and by plan and user.

    `margins` are the conditions of each proposed margin, by the names of `_MARGIN_CONDITIONS`; the first one that holds counts.
    Proposed prices are arrays: `:price_models`, `:price_providers`, `:price_calls` and one array for each of `counts`. The amounts
    of a line are rounded up as settlements round them, by whole numbers of quanta.
    """
    cases = "".join(
        f" when {' and '.join(_MARGIN_CONDITIONS[name].format(n=n) for name in names) or 'true'} then cast(:margin_{n} as numeric)"
        for n, names in enumerate(margins)
    )
    margin = f"case when l.margin_percent <= -100 then l.margin_percent{cases} else l.margin_percent end"
    priced = "p.call" + "".join(f" + case when k.{name} = 0 then 0 else k.{name} * p.{name} end" for name in counts)
    unit_columns = "".join(f", {name}" for name in counts)
    unit_arrays = "".join(f", cast(:p_{name} as numeric[])" for name in counts)
    read = ", ".join(
        _count(name, when="p.model is not null") for name in {**dict.fromkeys(_CACHE), **dict.fromkeys(counts)}
    )
    fits = "k.input_tokens >= k.cache_read_tokens + k.cache_write_tokens"
    return f"""
    with uses as (
      select c.feature_key, w.plan, c.subject_id, c.rule, c.consumed, c.charged, sum(l.credits) as old_lines,
        sum(coalesce(r.credits, l.credits)) as new_lines, coalesce(sum(l.provider_cost_usd), 0) as old_cost,
        coalesce(sum(coalesce(x.cost, l.provider_cost_usd)), 0) as new_cost,
        bool_or(l.price_version = 'unpriced') as was_unpriced, count(*) as lines,
        count(*) filter (where x.cost is null and (p.model is not null or l.price_version = 'unpriced')) as unpriced
      from faregate.usage_line l join faregate.charge c using (usage_key)
      left join faregate.wallet w on w.wallet_id = c.subject_id
      left join unnest(cast(:price_models as text[]), cast(:price_providers as text[]), cast(:price_calls as numeric[])
        {unit_arrays}) as p (model, provider, call{unit_columns})
        on p.model = l.model and p.provider is not distinct from l.provider
      cross join lateral (select {read},
        case when p.model is not null then l.tokens - {_NAMES} = '{{}}' end as plain offset 0) k
      cross join lateral (select case when p.model is null then l.provider_cost_usd
        when k.plain and {fits} then {priced} end as cost, {margin} as margin offset 0) x
      cross join lateral (select x.cost * (100 + x.margin) as price, cast(:divisor as numeric) as divisor offset 0) y
      cross join lateral (select case when x.cost is null then null
        when p.model is null and x.margin = l.margin_percent and not cast(:all_credits as boolean) then l.credits
        when x.margin <= -100 then 0
        else (div(y.price, y.divisor) + (mod(y.price, y.divisor) > 0)::int) * cast(:quantum as numeric) end as credits) r
      where {_line_conditions(filters)}
      group by c.usage_key, w.wallet_id
    ), outcomes as (
      select *, case when was_unpriced then greatest(consumed, new_lines) else consumed - old_lines + new_lines end
        as new_consumed
      from uses
    )
    select grouping(feature_key) = 0 as of_feature, feature_key, plan, subject_id, count(*) as uses,
      sum(lines)::bigint as lines, sum(unpriced)::bigint as unpriced,
      sum(consumed)::numeric as consumed, sum(new_consumed)::numeric as new_consumed, sum(charged)::numeric as charged,
      sum(case when rule = 'recorded' then 0 when charged = consumed then new_consumed else least(charged, new_consumed) end)
        ::numeric as new_charged,
      sum(old_cost) as cost, sum(new_cost) as new_cost
    from outcomes group by grouping sets ((feature_key), (plan, subject_id))
    """  # noqa: S608


_MARGIN_CONDITIONS = {
    "feature": "c.feature_key = :margin_feature_{n}",
    "model": "l.model = any(cast(:margin_models_{n} as text[]))",
    "plan": "w.plan = :margin_plan_{n}",
}
