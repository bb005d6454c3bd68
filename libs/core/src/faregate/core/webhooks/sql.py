"""SQL of webhook endpoints and their deliveries."""

__all__ = [
    "ENDPOINT_ADD",
    "ENDPOINT_CHANGE",
    "ENDPOINT_DELETE",
    "ENDPOINT_DELETE_DELIVERIES",
    "ENDPOINT_DELIVERIES",
    "ENDPOINT_GET",
    "ENDPOINT_LIST",
    "ENDPOINT_REPLAY",
    "ENDPOINT_RESEAL",
    "ENDPOINT_ROTATE",
    "ENDPOINT_SECRETS",
    "EVENT_ADD",
    "EVENT_SUBSCRIBED",
]

ENDPOINT_ADD = """
insert into faregate.webhook_endpoint (endpoint_id, url, events, secret, description, created_by)
values (:endpoint_id, :url, cast(:events as text[]), :secret, cast(:description as text), :created_by) returning *
"""

ENDPOINT_GET = "select * from faregate.webhook_endpoint where endpoint_id = :endpoint_id"

ENDPOINT_LIST = """
select * from faregate.webhook_endpoint where (cast(:before as uuid) is null or endpoint_id < :before)
order by endpoint_id desc limit :limit
"""

ENDPOINT_CHANGE = """
update faregate.webhook_endpoint
set url = :url, events = cast(:events as text[]), description = cast(:description as text),
  disabled_at = case when :enabled then null else coalesce(disabled_at, clock_timestamp()) end,
  disabled_reason = case when :enabled then null else coalesce(disabled_reason, 'by hand') end,
  failing_since = case when :enabled then null else failing_since end
where endpoint_id = :endpoint_id returning *
"""

ENDPOINT_ROTATE = """
update faregate.webhook_endpoint
set previous_secret = secret, previous_until = clock_timestamp() + cast(:overlap as interval), secret = :secret
where endpoint_id = :endpoint_id returning *
"""

ENDPOINT_SECRETS = """
select endpoint_id, secret, previous_secret from faregate.webhook_endpoint order by endpoint_id for update
"""

ENDPOINT_RESEAL = """
update faregate.webhook_endpoint set secret = :secret, previous_secret = cast(:previous as text)
where endpoint_id = :endpoint_id
"""

ENDPOINT_DELETE_DELIVERIES = "delete from faregate.webhook_delivery where endpoint_id = :endpoint_id"

ENDPOINT_DELETE = "delete from faregate.webhook_endpoint where endpoint_id = :endpoint_id returning *"

ENDPOINT_DELIVERIES = """
select delivery_id, event_id, event_type, status, attempts, due_at, history::text as history, created_at
from faregate.webhook_delivery
where endpoint_id = :endpoint_id and (cast(:status as text) is null or status = :status)
  and (cast(:before as timestamptz) is null or (created_at, delivery_id) < (:before, cast(:before_id as uuid)))
order by created_at desc, delivery_id desc limit :limit
"""

ENDPOINT_REPLAY = """
update faregate.webhook_delivery set status = 'pending', attempts = 0, due_at = clock_timestamp()
where endpoint_id = :endpoint_id and status <> 'pending'
  and (delivery_id = any(cast(:ids as uuid[])) or created_at >= cast(:since as timestamptz))
returning delivery_id
"""

EVENT_SUBSCRIBED = "select distinct unnest(events) as event from faregate.webhook_endpoint where disabled_at is null"

EVENT_ADD = """
insert into faregate.webhook_delivery (delivery_id, endpoint_id, event_id, event_type, payload, due_at)
select gen_random_uuid(), w.endpoint_id, e.id, e.type, e.payload, clock_timestamp()
from unnest(cast(:ids as text[]), cast(:types as text[]), cast(:payloads as bytea[])) as e (id, type, payload)
join faregate.webhook_endpoint w on w.disabled_at is null and e.type = any(w.events)
"""
