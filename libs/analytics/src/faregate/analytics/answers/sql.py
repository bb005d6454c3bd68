"""SQL of stories and hold histories."""

__all__ = ["EVENTS_OF_MANY", "HOLD_PERCENTILES", "STORY_EVENTS"]

HOLD_PERCENTILES = """
select array_agg(u.credits order by u.credits) as credits from (
  select sum(e.credits)::bigint as credits from faregate.usage_event e
  where e.time >= now() - make_interval(days => :days) and e.feature_key = :feature_key and e.usage_key is not null
  group by e.usage_key having sum(e.requests) > 0 order by max(e.time) desc limit 1000
) u
"""

STORY_EVENTS_LIMIT = 1_000

STORY_EVENTS = f"""
select e.time, e.kind, e.service, e.feature_key, e.model, e.provider, e.meter, e.quantity, e.input_tokens,
  e.output_tokens, e.credits, e.latency_ms, e.status, e.source
from faregate.usage_event e join faregate.subject s using (subject_id)
where s.external_id = :user_id and e.usage_key = :usage_key and e.sign = 1
  and e.time >= cast(:since as timestamptz) and e.time < cast(:until as timestamptz)
  and not exists (
    select from faregate.usage_event back
    where back.subject_id = e.subject_id and back.time = e.time and back.event_key = e.event_key
      and back.version = e.version and back.sign = -1)
order by e.time, e.kind, e.event_key limit {STORY_EVENTS_LIMIT}
"""  # noqa: S608

EVENTS_OF_MANY = """
select w.key as usage_key, e.* from unnest(cast(:keys as text[]), cast(:users as text[]), cast(:since as timestamptz[]),
  cast(:until as timestamptz[])) as w (key, user_id, since, until)
join faregate.subject s on s.external_id = w.user_id
cross join lateral (
  select e.time, e.kind, e.service, e.feature_key, e.model, e.provider, e.meter, e.quantity, e.input_tokens,
    e.output_tokens, e.credits, e.latency_ms, e.status, e.source, e.event_key
  from faregate.usage_event e
  where e.subject_id = s.subject_id and e.usage_key = w.key and e.sign = 1 and e.time >= w.since and e.time < w.until
    and not exists (
      select from faregate.usage_event back
      where back.subject_id = e.subject_id and back.time = e.time and back.event_key = e.event_key
        and back.version = e.version and back.sign = -1)
  order by e.time, e.kind, e.event_key limit :limit
) e
order by e.time, e.kind, e.event_key
"""
