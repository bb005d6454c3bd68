"""SQL of anomalies and their alerts."""

__all__ = [
    "ANOMALY_ADD",
    "ANOMALY_BY_ID",
    "ANOMALY_CLAIMED",
    "ANOMALY_DELIVERIES",
    "ANOMALY_JUDGE",
    "ANOMALY_LIST",
    "ANOMALY_SILENT",
    "WATCHED_USERS",
]

_COLUMNS = """
a.anomaly_id, a.scope, a.value, a.subject_id, a.measure, a.period_start, a.period_end, a.actual, a.expected, a.allowed,
a.reason::text as reason, a.verdict, a.verdict_at, a.found_at, s.external_id as user_id
"""
_FROM = "from faregate.anomaly a left join faregate.subject s using (subject_id)"

ANOMALY_SILENT = """
select scope, value, subject_id, measure,
  max(period_start) filter (where verdict is distinct from 'not_an_anomaly') as last_at,
  max(abs(actual - expected)) filter (where verdict = 'not_an_anomaly' and actual >= expected) as usual_up,
  max(abs(actual - expected)) filter (where verdict = 'not_an_anomaly' and actual < expected) as usual_down
from faregate.anomaly where unit = 'hour' and (period_start >= :since or verdict = 'not_an_anomaly')
group by scope, value, subject_id, measure
"""

ANOMALY_ADD = """
insert into faregate.anomaly (
  anomaly_id, scope, value, subject_id, measure, unit, period_start, period_end, actual, expected, allowed, reason, found_at
) values (
  :anomaly_id, :scope, cast(:value as text), cast(:subject_id as bigint), :measure, 'hour', :start, :end, :actual, :expected,
  :allowed, cast(cast(:reason as text) as jsonb), :now
) on conflict on constraint anomaly_once_key do nothing returning anomaly_id
"""

ANOMALY_BY_ID = f"select {_COLUMNS} {_FROM} where a.anomaly_id = :anomaly_id"

ANOMALY_LIST = f"""
select {_COLUMNS} {_FROM}
where (cast(:scope as text) is null or a.scope = :scope) and (cast(:measure as text) is null or a.measure = :measure)
  and (cast(:user_id as text) is null or s.external_id = :user_id)
  and (cast(:since as timestamptz) is null or a.period_start >= :since)
  and (cast(:until as timestamptz) is null or a.period_start < :until)
  and (cast(:open as boolean) is false or a.verdict is null)
  and (cast(:before as uuid) is null or a.anomaly_id < :before)
order by a.anomaly_id desc limit :limit
"""

ANOMALY_DELIVERIES = """
select anomaly_id, channel, status from faregate.anomaly_delivery where anomaly_id = any(cast(:anomaly_ids as uuid[]))
order by channel
"""

ANOMALY_JUDGE = """
update faregate.anomaly set verdict = :verdict, verdict_by = :actor, verdict_at = :now where anomaly_id = :anomaly_id
returning anomaly_id
"""

ANOMALY_CLAIMED = f"""
select {_COLUMNS}, c.channel, c.attempts from claimed c join faregate.anomaly a using (anomaly_id)
left join faregate.subject s on s.subject_id = a.subject_id
"""  # noqa: S608

WATCHED_USERS = """
select u.subject_id, s.external_id as user_id from faregate.usage_user u join faregate.subject s using (subject_id)
where u.grain = 2 and u.bucket >= :since
group by u.subject_id, s.external_id order by sum(u.credits) desc, u.subject_id limit :limit
"""
