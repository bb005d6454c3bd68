"""SQL of activity, features, wallets and plans of users; segment rules."""

from faregate.analytics.facts.conditions_sql import conditions, period_sql
from faregate.analytics.question.filters import Filters

__all__ = [
    "RULE_DELETE",
    "RULE_LIST",
    "RULE_PUT",
    "SUBSCRIBERS",
    "activity_sql",
    "adoption_sql",
]

_SUMS = ("requests", "errors", "tokens", "credits", "charged", "cost")


def activity_sql(filters: Filters) -> str:
    """Return the query for each user's active days and sums; `:recent` and `:before` are positions of days."""
    windows = {"whole": "true", "recent": "day > :recent", "before": "day > :before and day <= :recent"}
    sums = ", ".join(
        f"coalesce(sum({name}) filter (where {only}), 0) as {window}_{name}"
        for window, only in windows.items()
        for name in _SUMS
    )
    return f"""
    with days as materialized (
      select e.subject_id, {period_sql("e.time")} as day, sum(e.requests) as requests,
        coalesce(sum(e.requests) filter (where e.status >= 400), 0) as errors,
        sum(e.input_tokens + e.output_tokens) as tokens, sum(e.credits) as credits, sum(e.charged) as charged,
        coalesce(sum(e.cost), 0) as cost, max(e.time) filter (where e.sign > 0) as last_at
      from faregate.usage_event e where {conditions(filters)}
      group by 1, 2 having sum(e.sign) > 0
    )
    select subject_id, array_agg(day order by day) as days, max(last_at) as last_at, {sums}
    from days group by subject_id order by subject_id
    """  # noqa: S608


def adoption_sql(filters: Filters) -> str:
    """Return the query for each feature's users, by the part of the range: after the position `:recent` of days, or up to it."""
    return f"""
    with days as materialized (
      select e.feature_key, e.subject_id, {period_sql("e.time")} as day from faregate.usage_event e
      where {conditions(filters)} and e.feature_key is not null group by 1, 2, 3 having sum(e.sign) > 0
    )
    select feature_key, count(*) filter (where recent > 0) as users, count(*) filter (where before > 0) as users_before,
      count(*) filter (where recent > 1) as repeated
    from (
      select feature_key, subject_id, count(*) filter (where day > :recent) as recent,
        count(*) filter (where day <= :recent) as before
      from days group by 1, 2
    ) u group by 1 order by 2 desc, 1
    """  # noqa: S608


SUBSCRIBERS = """
select w.wallet_id as subject_id, w.plan, w.credits - w.debits as balance, w.held, w.status
from faregate.wallet w where w.wallet_id = any(cast(:subject_ids as bigint[]))
"""

RULE_PUT = """
insert into faregate.segment_rule (name, conditions, updated_at)
values (:name, cast(cast(:conditions as text) as jsonb), :now)
on conflict (name) do update set conditions = excluded.conditions, updated_at = excluded.updated_at
"""

RULE_LIST = "select name, conditions::text as conditions from faregate.segment_rule order by name"

RULE_DELETE = "delete from faregate.segment_rule where name = :name returning 1"
