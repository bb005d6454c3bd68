"""SQL of the table `message`."""

__all__ = [
    "ACK",
    "BACKLOG",
    "COUNT_DEAD",
    "DEAD",
    "DROP",
    "LIST_DEAD",
    "PUBLISH",
    "RELEASE",
    "REPLAY",
    "RETRY",
    "TAKE",
]

PUBLISH = """
insert into faregate.message (message_id, queue, body, headers)
select m.id, :queue, m.body, m.headers::jsonb
from unnest(cast(:ids as uuid[]), cast(:bodies as bytea[]), cast(:headers as text[])) as m (id, body, headers)
"""

TAKE = """
update faregate.message m
set available_at = now() + make_interval(secs => :lease), attempt = m.attempt + 1
from (
  select message_id from faregate.message
  where queue = :queue and dead_at is null and available_at <= now()
  order by available_at, message_id limit :limit
  for update skip locked
) ready
where m.message_id = ready.message_id
returning m.message_id, m.body, m.headers, m.attempt, m.created_at
"""

ACK = """
delete from faregate.message m
using unnest(cast(:ids as uuid[]), cast(:attempts as int[])) as d (id, attempt)
where m.message_id = d.id and m.attempt = d.attempt and m.dead_at is null
"""

RETRY = """
update faregate.message m
set available_at = now() + make_interval(secs => d.delay)
from unnest(cast(:ids as uuid[]), cast(:attempts as int[]), cast(:delays as float8[])) as d (id, attempt, delay)
where m.message_id = d.id and m.attempt = d.attempt and m.dead_at is null
"""

DEAD = """
update faregate.message m
set dead_at = now(), dead_reason = d.reason
from unnest(cast(:ids as uuid[]), cast(:attempts as int[]), cast(:reasons as text[])) as d (id, attempt, reason)
where m.message_id = d.id and m.attempt = d.attempt and m.dead_at is null
"""

RELEASE = """
update faregate.message m
set available_at = now(), attempt = m.attempt - 1
from unnest(cast(:ids as uuid[]), cast(:attempts as int[])) as d (id, attempt)
where m.message_id = d.id and m.attempt = d.attempt and m.dead_at is null
"""

BACKLOG = """
select count(*) as depth, min(created_at) as oldest_at from faregate.message where queue = :queue and dead_at is null
"""

COUNT_DEAD = "select count(*) as dead from faregate.message where dead_at is not null"

LIST_DEAD = """
select message_id, queue, dead_reason, attempt, body, dead_at from faregate.message
where dead_at is not null and (cast(:queue as text) is null or queue = :queue) and message_id > :after
order by message_id limit 200
"""

REPLAY = """
with taken as (
  delete from faregate.message where dead_at is not null and message_id = any(cast(:ids as uuid[]))
  returning queue, body, headers
)
insert into faregate.message (message_id, queue, body, headers)
select new.id, t.queue, t.body, t.headers
from (select *, row_number() over () as n from taken) t
join unnest(cast(:new_ids as uuid[])) with ordinality as new (id, n) using (n)
returning queue
"""

DROP = """
delete from faregate.message where dead_at is not null and message_id = any(cast(:ids as uuid[])) returning message_id
"""
