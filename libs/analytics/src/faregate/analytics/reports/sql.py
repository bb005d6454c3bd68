"""SQL of report subscriptions, recipients and deliveries."""

__all__ = [
    "DELIVERIES",
    "DELIVERY_ADD",
    "DELIVERY_BOUNCED",
    "DELIVERY_CLAIM",
    "DELIVERY_FORGET",
    "DELIVERY_GET",
    "DELIVERY_QUEUE",
    "DELIVERY_RETRY",
    "DELIVERY_SENT",
    "RECIPIENTS",
    "RECIPIENTS_PUT",
    "RECIPIENTS_RESUME",
    "RECIPIENT_BOUNCED",
    "RECIPIENT_GET",
    "RECIPIENT_STATE",
    "REPORT_ADVANCE",
    "REPORT_DUE",
    "REPORT_LIST",
    "REPORT_PUT",
    "REPORT_REMOVE",
]

_REPORT = """
r.name, r.kind, r.scope, s.external_id as owner, r.filters::text as filters, r.timezone, r.hour, r.weekday, r.month_day, r.files,
r.active, r.next_at, r.updated_at
"""
_DELIVERY = """
d.delivery_id, d.name, d.address, d.period_start, d.period_end, d.test, d.status, d.attempts, d.due_at, d.next_at, d.finished_at,
d.last_error
"""
_FIELDS = "kind, scope, subject_id, filters, timezone, hour, weekday, month_day, files, active, next_at, updated_at"

_TIMES = ("kind", "timezone", "hour", "weekday", "month_day")
"""While these stay as they are, a report that is due and not queued yet stays due."""

REPORT_PUT = f"""
insert into faregate.report_subscription as r (name, {_FIELDS})
values (:name, :kind, :scope, cast(:subject_id as bigint), cast(:filters as text)::jsonb, :timezone, :hour, :weekday, :month_day,
  cast(:files as text[]), :active, cast(:next_at as timestamptz), :now)
on conflict (name) do update set {", ".join(f"{name} = excluded.{name}" for name in _FIELDS.split(", ") if name != "next_at")},
  next_at = case when excluded.active and r.active and ({", ".join(f"r.{name}" for name in _TIMES)})
    = ({", ".join(f"excluded.{name}" for name in _TIMES)}) then r.next_at else excluded.next_at end
"""  # noqa: S608

RECIPIENTS_PUT = """
with given as (
  select address, position, token
  from unnest(cast(:addresses as text[]), cast(:tokens as uuid[])) with ordinality as g (address, token, position)
), hidden as (
  update faregate.report_recipient set listed = false
  where name = :name and listed and address <> all(cast(:addresses as text[]))
), dropped as (
  update faregate.report_delivery set status = 'cancelled', finished_at = :now
  where name = :name and status = 'pending' and not test and address <> all(cast(:addresses as text[]))
)
insert into faregate.report_recipient as r (name, address, position, token, changed_at)
select :name, address, position, token, :now from given
on conflict (name, address) do update set listed = true, position = excluded.position
"""

RECIPIENTS_RESUME = """
update faregate.report_recipient set state = 'active', changed_at = :now
where name = :name and state = 'suspended' and (cast(:address as text) is null or address = :address) returning 1
"""

RECIPIENTS = """
select name, address, state, token, changed_at, last_error from faregate.report_recipient
where name = any(cast(:names as text[])) and listed order by name, position
"""

RECIPIENT_GET = """
select name, address, state, token, changed_at, last_error from faregate.report_recipient where token = :token
"""

RECIPIENT_STATE = """
with changed as (
  update faregate.report_recipient set state = :state, changed_at = :now
  where token = :token and (
    (:state = 'unsubscribed' and state <> 'unsubscribed') or (:state = 'active' and state = 'unsubscribed'))
  returning name, address
), dropped as (
  update faregate.report_delivery d set status = 'cancelled', finished_at = :now from changed c
  where d.name = c.name and d.address = c.address and d.status = 'pending' and not d.test and :state = 'unsubscribed'
)
select r.name, r.address, case when c.name is null then r.state else :state end as state, r.token, r.changed_at, r.last_error
from faregate.report_recipient r left join changed c using (name, address) where r.token = :token
"""

REPORT_LIST = f"""
select {_REPORT} from faregate.report_subscription r left join faregate.subject s using (subject_id)
where (cast(:name as text) is null or r.name = :name) and (cast(:after as text) is null or r.name > :after)
order by r.name limit :limit
"""  # noqa: S608

REPORT_REMOVE = "delete from faregate.report_subscription where name = :name returning 1"

REPORT_DUE = f"""
select {_REPORT} from faregate.report_subscription r left join faregate.subject s using (subject_id)
where r.next_at <= :now order by r.next_at, r.name limit :limit for update of r skip locked
"""  # noqa: S608

REPORT_ADVANCE = """
update faregate.report_subscription r set next_at = g.next_at
from unnest(cast(:names as text[]), cast(:nexts as timestamptz[])) as g (name, next_at) where r.name = g.name
"""

DELIVERY_QUEUE = """
insert into faregate.report_delivery (delivery_id, name, address, period_start, period_end, due_at, next_at)
select gen_random_uuid(), r.name, r.address, g.starts, g.ends, g.due, cast(:now as timestamptz)
from unnest(
  cast(:names as text[]), cast(:starts as timestamptz[]), cast(:ends as timestamptz[]), cast(:dues as timestamptz[])
) as g (name, starts, ends, due)
join faregate.report_recipient r on r.name = g.name and r.listed and r.state = 'active'
on conflict (name, address, period_start) where not test do nothing returning 1
"""

DELIVERY_ADD = f"""
with added as (
  insert into faregate.report_delivery as d (delivery_id, name, address, period_start, period_end, test, due_at, next_at)
  values (:delivery_id, :name, :address, :starts, :ends, true, :now, :now)
  returning *
)
select {_DELIVERY}, null::uuid as token from added d
"""  # noqa: S608

DELIVERY_CLAIM = f"""
with due as (
  select delivery_id from faregate.report_delivery
  where status = 'pending' and next_at <= :now and (cast(:delivery_id as uuid) is null or delivery_id = :delivery_id)
  order by next_at, name, period_start limit :limit for update skip locked
), d as (
  update faregate.report_delivery d set attempts = d.attempts + 1, next_at = cast(:now as timestamptz) + cast(:lease as interval)
  from due where d.delivery_id = due.delivery_id returning d.*
)
select {_DELIVERY}, p.token, {_REPORT.replace("r.name, ", "").replace("r.next_at, ", "r.next_at as report_next_at, ")}
from d join faregate.report_subscription r using (name) left join faregate.subject s using (subject_id)
left join faregate.report_recipient p on p.name = d.name and p.address = d.address and not d.test
order by d.name, d.period_start, d.address
"""  # noqa: S608

DELIVERY_SENT = """
update faregate.report_delivery set status = 'sent', finished_at = :now, last_error = null
where delivery_id = :delivery_id and status = 'pending'
"""

DELIVERY_RETRY = """
update faregate.report_delivery set status = :status, next_at = :next_at, last_error = :error,
  finished_at = case when :status = 'failed' then cast(:now as timestamptz) end
where delivery_id = :delivery_id and status = 'pending'
"""

DELIVERY_BOUNCED = f"""
update faregate.report_delivery d set status = 'bounced', last_error = :error, finished_at = :now
where d.delivery_id = :delivery_id and d.status in ('pending', 'sent') returning {_DELIVERY}, null::uuid as token
"""  # noqa: S608

DELIVERY_GET = f"""
select {_DELIVERY}, null::uuid as token from faregate.report_delivery d where d.delivery_id = :delivery_id
"""  # noqa: S608

RECIPIENT_BOUNCED = """
with latest as (
  select d.status = 'bounced' as bounced
  from faregate.report_delivery d join faregate.report_recipient r using (name, address)
  where d.name = :name and d.address = :address and not d.test and d.status in ('sent', 'bounced') and d.due_at >= r.changed_at
  order by d.due_at desc limit :patience
), verdict as (select count(*) filter (where bounced) = :patience as enough from latest)
update faregate.report_recipient r set last_error = :error,
  state = case when v.enough and r.state = 'active' then 'suspended' else r.state end,
  changed_at = case when v.enough and r.state = 'active' then :now else r.changed_at end
from verdict v where r.name = :name and r.address = :address
"""

DELIVERIES = f"""
select {_DELIVERY}, null::uuid as token from faregate.report_delivery d
where d.name = :name and (cast(:before_at as timestamptz) is null or (d.due_at, d.delivery_id) < (:before_at, :before_id))
order by d.due_at desc, d.delivery_id desc limit :limit
"""  # noqa: S608

DELIVERY_FORGET = """
delete from faregate.report_delivery
where status <> 'pending' and due_at < cast(:now as timestamptz) - cast(:keep as interval)
"""
