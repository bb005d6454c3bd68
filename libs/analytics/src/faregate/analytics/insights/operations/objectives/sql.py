"""SQL of service-level objectives and their alerts."""

__all__ = [
    "OBJECTIVE_ALERTS",
    "OBJECTIVE_CLAIMED",
    "OBJECTIVE_END",
    "OBJECTIVE_FIRE",
    "OBJECTIVE_KEEP",
    "OBJECTIVE_LIST",
    "OBJECTIVE_OPEN",
    "OBJECTIVE_PUT",
    "OBJECTIVE_REMOVE",
    "OBJECTIVE_RESET",
]

_COUNTED = ("scope", "value", "indicator", "target_percent", "threshold_ms", "window_days")
_COLUMNS = f"name, {', '.join(_COUNTED)}, active, revision, updated_at"
_CHANGED = f"""({", ".join(f"o.{name}" for name in _COUNTED)}) is distinct from
    ({", ".join(f"excluded.{name}" for name in _COUNTED)})"""

OBJECTIVE_PUT = f"""
insert into faregate.objective as o (name, {", ".join(_COUNTED)}, active, updated_at)
values (:name, :scope, cast(:value as text), :indicator, :target_percent, cast(:threshold_ms as int), :window_days, :active, :now)
on conflict (name) do update set revision = o.revision + ({_CHANGED})::int,
  status = case when {_CHANGED} then null else o.status end, checked_at = case when {_CHANGED} then null else o.checked_at end,
  {", ".join(f"{name} = excluded.{name}" for name in _COUNTED)}, active = excluded.active, updated_at = excluded.updated_at
returning {_COLUMNS}
"""  # noqa: S608

OBJECTIVE_RESET = """
update faregate.objective_alert a set ended_at = :now from faregate.objective o
where o.name = :name and a.name = o.name and a.ended_at is null and (a.revision < o.revision or not o.active)
returning 1
"""
"""Ends the alerts of an objective that was changed or switched off."""

OBJECTIVE_LIST = f"""
select {_COLUMNS}, status::text as status, checked_at from faregate.objective
where (cast(:name as text) is null or name = :name) and (cast(:active as boolean) is false or active)
order by name
"""  # noqa: S608

OBJECTIVE_REMOVE = "delete from faregate.objective where name = :name returning 1"

OBJECTIVE_KEEP = """
update faregate.objective set status = cast(cast(:status as text) as jsonb), checked_at = :now
where name = :name and revision = :revision returning 1
"""

OBJECTIVE_OPEN = """
select rule from faregate.objective_alert where name = :name and ended_at is null
"""

OBJECTIVE_FIRE = """
insert into faregate.objective_alert (alert_id, name, revision, rule, rate, threshold, total, bad, fired_at)
values (:alert_id, :name, :revision, :rule, :rate, :threshold, :total, :bad, :now)
on conflict (name, rule) where ended_at is null do nothing returning alert_id
"""

OBJECTIVE_END = """
update faregate.objective_alert set ended_at = :now
where name = :name and ended_at is null and rule = any(cast(:rules as text[])) returning 1
"""

OBJECTIVE_ALERTS = """
select a.alert_id, a.name, a.rule, a.fired_at, a.ended_at, d.channel, d.status
from unnest(cast(:names as text[])) as wanted (name)
cross join lateral (
  select * from faregate.objective_alert a where a.name = wanted.name order by a.fired_at desc, a.alert_id desc limit :limit) a
left join faregate.objective_delivery d using (alert_id)
order by a.fired_at desc, a.alert_id desc, d.channel
"""

OBJECTIVE_CLAIMED = """
select a.*, o.scope, o.value, o.indicator, o.target_percent, o.threshold_ms, o.window_days, o.active, o.updated_at,
  c.channel, c.attempts
from claimed c join faregate.objective_alert a using (alert_id) join faregate.objective o using (name)
"""
