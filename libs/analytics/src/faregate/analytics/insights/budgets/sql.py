"""SQL of budgets and their alerts."""

__all__ = [
    "BUDGET_ALERTS",
    "BUDGET_CLAIMED",
    "BUDGET_FIRE",
    "BUDGET_LIST",
    "BUDGET_PUT",
    "BUDGET_REMOVE",
]

_BUDGET = """
b.name, b.scope, coalesce(b.value, s.external_id) as value, b.unit, b.amount, b.period, b.timezone, b.thresholds, b.emails,
b.active, b.revision, b.updated_at
"""
_COUNTED = "scope, value, subject_id, unit, amount, period, timezone, thresholds"

BUDGET_PUT = f"""
insert into faregate.budget as b ({_COUNTED}, name, emails, active, updated_at)
values (:scope, cast(:value as text), cast(:subject_id as bigint), :unit, :amount, :period, :timezone,
  cast(:thresholds as numeric[]), :name, cast(:emails as text[]), :active, :now)
on conflict (name) do update set
  revision = b.revision + (({", ".join(f"b.{name}" for name in _COUNTED.split(", "))}) is distinct from
    ({", ".join(f"excluded.{name}" for name in _COUNTED.split(", "))}))::int,
  {", ".join(f"{name} = excluded.{name}" for name in _COUNTED.split(", "))},
  emails = excluded.emails, active = excluded.active, updated_at = excluded.updated_at
returning name
"""  # noqa: S608

BUDGET_LIST = f"""
select {_BUDGET} from faregate.budget b left join faregate.subject s using (subject_id)
where (cast(:name as text) is null or b.name = :name) and (cast(:active as boolean) is false or b.active)
order by b.name
"""  # noqa: S608

BUDGET_REMOVE = "delete from faregate.budget where name = :name returning 1"

BUDGET_FIRE = """
insert into faregate.budget_alert (
  alert_id, name, revision, period_start, period_end, level, used, amount, expected, superseded, fired_at
)
select n.*, cast(:now as timestamptz) from unnest(
  cast(:alert_ids as uuid[]), cast(:names as text[]), cast(:revisions as int[]), cast(:starts as timestamptz[]),
  cast(:ends as timestamptz[]), cast(:levels as text[]), cast(:used as numeric[]), cast(:amounts as numeric[]),
  cast(:expected as numeric[]), cast(:superseded as bool[])
) as n (alert_id, name, revision, start_at, end_at, level, used, amount, expected, superseded)
join faregate.budget b on b.name = n.name and b.revision = n.revision
order by n.name, n.level
on conflict on constraint budget_alert_once_key do nothing
returning alert_id, superseded
"""

BUDGET_ALERTS = """
select a.name, a.level, a.fired_at, d.channel, d.status
from faregate.budget_alert a join faregate.budget b on b.name = a.name and b.revision = a.revision
left join faregate.budget_delivery d using (alert_id)
where a.name = any(cast(:names as text[])) and a.period_end > :now
order by a.fired_at, a.level, d.channel
"""

BUDGET_CLAIMED = """
select a.*, b.unit, b.period, b.emails, c.channel, c.attempts
from claimed c join faregate.budget_alert a using (alert_id) join faregate.budget b using (name)
"""
