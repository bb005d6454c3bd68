"""SQL of alerts and of usage totals."""

from faregate.usage.events.keys import OWN_SOURCES

__all__ = [
    "ALERT_ALERT",
    "ALERT_BY_ID",
    "ALERT_CLAIMED",
    "ALERT_DELIVERIES",
    "ALERT_FIRE",
    "ALERT_LIST",
    "TOTALS_OWNERS",
    "TOTALS_SQL",
    "TOTALS_STANDING",
]

ALERT_ALERT = """
a.alert_id, a.quota_id, a.period_start, a.period_end, a.level, a.used, a.limit_value, a.superseded, a.runs_out_at,
a.fired_at, q.meter, q.period, q.hard, q.emails, coalesce(s.external_id, '*') as owner_id
"""

ALERT_JOIN = """
join faregate.quota q using (quota_id)
left join faregate.subject s using (subject_id)
"""

ALERT_FIRE = """
insert into faregate.quota_alert (
  alert_id, quota_id, revision, period_start, period_end, level, used, limit_value, superseded, runs_out_at, fired_at
)
select n.*, cast(:now as timestamptz) from unnest(
  cast(:alert_ids as uuid[]), cast(:quota_ids as uuid[]), cast(:revisions as int[]),
  cast(:starts as timestamptz[]), cast(:ends as timestamptz[]), cast(:levels as text[]), cast(:used as numeric[]),
  cast(:limits as numeric[]), cast(:superseded as bool[]), cast(:runs_out as timestamptz[])
) as n (alert_id, quota_id, revision, start_at, end_at, level, used, limit_value, superseded, runs_out_at)
join faregate.quota q on q.quota_id = n.quota_id and q.revision = n.revision
order by n.quota_id, n.start_at, n.level
on conflict on constraint quota_alert_once_key do nothing
returning alert_id, superseded
"""

ALERT_BY_ID = (
    f"select {ALERT_ALERT} from faregate.quota_alert a {ALERT_JOIN} where a.alert_id = any(cast(:alert_ids as uuid[]))"  # noqa: S608
)

ALERT_CLAIMED = f"""
select {ALERT_ALERT}, c.channel, c.attempts from claimed c join faregate.quota_alert a using (alert_id) {ALERT_JOIN}
"""  # noqa: S608

ALERT_LIST = f"""
select {ALERT_ALERT} from faregate.quota_alert a {ALERT_JOIN}
where (cast(:owner_id as text) is null or coalesce(s.external_id, '*') = :owner_id)
  and (cast(:quota_id as uuid) is null or a.quota_id = :quota_id)
  and (cast(:meter as text) is null or q.meter = :meter)
  and (cast(:level as text) is null or a.level = :level)
  and (cast(:since as timestamptz) is null or a.fired_at >= :since)
  and (cast(:until as timestamptz) is null or a.fired_at < :until)
  and (cast(:before as uuid) is null or a.alert_id < :before)
order by a.alert_id desc limit :limit
"""  # noqa: S608

ALERT_DELIVERIES = """
select alert_id, channel, status, attempts, delivered_at, last_error
from faregate.alert_delivery where alert_id = any(cast(:alert_ids as uuid[])) order by alert_id, channel
"""

TOTALS_STANDING = """e.sign > 0 and e.quantity is not null and not exists (
    select from faregate.usage_correction c where c.event_key = e.event_key and c.version = e.version
  )"""

TOTALS_OWNERS = {
    "user": "e.subject_id = ask.subject_id",
    "organization": "e.organization_id = ask.subject_id",
    "members": f"""e.organization_id = ask.subject_id and (
      starts_with(e.source, '{OWN_SOURCES}')
      or exists (
        select from faregate.member m where m.subject_id = e.subject_id and m.organization_id = ask.subject_id
      )
      or not exists (select from faregate.organization o where o.subject_id = ask.subject_id)
    )""",  # noqa: S608
    "everybody": "true",
}
"""The conditions of facts that count for an owner. Of the facts that others report for an organisation, `members` counts those
of its members: users who are not members do not use up its quota. Facts of settlements were checked before. An organisation
that was not created in Faregate has no members.
"""

TOTALS_SQL = """
select ask.number, coalesce(t.total, 0)::numeric as total
from unnest(
  cast(:numbers as int[]), cast(:subject_ids as bigint[]), cast(:meters as text[]), cast(:starts as timestamptz[]),
  cast(:ends as timestamptz[])
) as ask (number, subject_id, meter, start_at, end_at)
left join faregate.usage_meter m on m.name = ask.meter
cross join lateral (
  select {measure} as total from faregate.usage_event e
  where {owner} and e.time >= ask.start_at and e.time < ask.end_at {meter}
) t
"""
