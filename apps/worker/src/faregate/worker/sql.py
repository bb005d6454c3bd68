"""SQL of webhook deliveries."""

__all__ = ["CLAIM", "ENDPOINTS", "NAMES", "RECORD"]

CLAIM = """
update faregate.webhook_delivery d set due_at = clock_timestamp() + cast(:lease as interval)
from (
  select w.delivery_id from faregate.webhook_delivery w
  where w.due_at <= clock_timestamp() order by w.due_at limit :limit for update skip locked
) due, faregate.webhook_endpoint e
where d.delivery_id = due.delivery_id and e.endpoint_id = d.endpoint_id
returning d.delivery_id, d.endpoint_id, d.event_id, d.event_type, d.payload, d.attempts, d.created_at, e.url, e.secret,
  case when e.previous_until > clock_timestamp() then e.previous_secret end as previous_secret,
  e.disabled_at is not null as disabled
"""

NAMES = "select subject_id, external_id from faregate.subject where subject_id = any(cast(:ids as bigint[]))"

RECORD = """
update faregate.webhook_delivery d
set status = r.status, attempts = d.attempts + 1, due_at = r.due_at,
  history = (select jsonb_agg(h order by n)
    from jsonb_array_elements(jsonb_build_array(r.attempt::jsonb) || d.history) with ordinality as x (h, n)
    where n <= :history)
from unnest(cast(:ids as uuid[]), cast(:statuses as text[]), cast(:dues as timestamptz[]), cast(:attempts as text[]))
  as r (id, status, due_at, attempt)
where d.delivery_id = r.id
"""

ENDPOINTS = """
update faregate.webhook_endpoint e
set failing_since = case when r.ok then null else coalesce(e.failing_since, clock_timestamp()) end,
  disabled_at = coalesce(e.disabled_at, case when r.gone
    or (not r.ok and e.failing_since < clock_timestamp() - cast(:patience as interval)) then clock_timestamp() end),
  disabled_reason = coalesce(e.disabled_reason, case when r.gone then 'the receiver answered 410 Gone'
    when not r.ok and e.failing_since < clock_timestamp() - cast(:patience as interval)
    then 'every attempt of the last days has failed' end)
from unnest(cast(:ids as uuid[]), cast(:oks as bool[]), cast(:gones as bool[])) as r (id, ok, gone)
where e.endpoint_id = r.id
"""
