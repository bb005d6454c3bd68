"""SQL of the retention, rotation and routes of feature logs."""

__all__ = [
    "RETENTION_DAYS",
    "RETENTION_DELETE_OVERDUE",
    "RETENTION_OVERDUE_DAYS",
    "RETENTION_RESET",
    "RETENTION_ROUTED",
    "RETENTION_SET",
    "ROTATION_NEXT",
    "ROTATION_STORE",
    "ROUTE_ADD",
    "ROUTE_FIND",
    "ROUTE_MATCHING",
]

RETENTION_DAYS = "select feature_key, days from faregate.feature_log_retention"
RETENTION_RESET = "delete from faregate.feature_log_retention where feature_key = :feature_key"

RETENTION_SET = """
insert into faregate.feature_log_retention (feature_key, days) values (:feature_key, :days)
on conflict (feature_key) do update set days = excluded.days, updated_at = now()
"""

RETENTION_ROUTED = """
r.route_id = any(array(
  select route_id from faregate.feature_log_route where (feature_key = any(cast(:features as text[]))) = :named))
"""

RETENTION_OVERDUE_DAYS = f"""
select distinct cast(r.logged_at as date) as day from faregate.feature_log r
where r.logged_at < cast(:until as timestamptz) and {RETENTION_ROUTED} order by day
"""  # noqa: S608

RETENTION_DELETE_OVERDUE = """
delete from faregate.feature_log l using (
  select l.logged_at, l.log_id from faregate.feature_log l
  where l.route_id = any(array(select route_id from faregate.feature_log_route where feature_key = :feature_key))
    and l.logged_at < cast(:until as timestamptz)
  limit :limit
) overdue
where l.logged_at = overdue.logged_at and l.log_id = overdue.log_id and l.logged_at < :until
returning 1
"""

ROTATION_NEXT = """
select log_id, logged_at, key_id, endpoint, email, payload, response, params, query from faregate.feature_log
where (logged_at, log_id) > (cast(:after_at as timestamptz), cast(:after_id as uuid))
  and (key_id is distinct from cast(:key_id as text) or (key_id is not null and endpoint ~ '[?#]'))
order by logged_at, log_id limit :limit for update
"""

ROTATION_STORE = """
update faregate.feature_log l
set key_id = :key_id, endpoint = n.endpoint, email_index = n.email_index, email = n.email, payload = n.payload,
  response = n.response, params = n.params, query = n.query
from unnest(cast(:log_id as uuid[]), cast(:logged_at as timestamptz[]), cast(:endpoint as text[]),
  cast(:email_index as bytea[]), cast(:email as bytea[]), cast(:payload as bytea[]), cast(:response as bytea[]),
  cast(:params as bytea[]), cast(:query as bytea[]))
  as n (log_id, logged_at, endpoint, email_index, email, payload, response, params, query)
where l.logged_at = n.logged_at and l.log_id = n.log_id and l.logged_at >= :first and l.logged_at <= :last
"""

ROUTE_FIND = """
select r.route_id, r.feature_key, r.feature_id, r.endpoint, r.type
from unnest(cast(:feature_key as text[]), cast(:feature_id as text[]), cast(:endpoint as text[]), cast(:type as text[]))
  as w (feature_key, feature_id, endpoint, type)
join faregate.feature_log_route r using (feature_key, feature_id, endpoint, type)
"""

ROUTE_ADD = """
insert into faregate.feature_log_route (feature_key, feature_id, endpoint, type)
select w.feature_key, w.feature_id, w.endpoint, w.type
from unnest(cast(:feature_key as text[]), cast(:feature_id as text[]), cast(:endpoint as text[]), cast(:type as text[]))
  as w (feature_key, feature_id, endpoint, type)
order by 1, 2, 3, 4
on conflict do nothing
"""

ROUTE_MATCHING = """
select route_id from faregate.feature_log_route
where (cast(:feature as text) is null or feature_key = :feature or feature_id = :feature)
  and (cast(:pattern as text) is null
       or concat_ws(' ', feature_key, feature_id, endpoint, type) ilike :pattern)
"""
