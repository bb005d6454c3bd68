"""SQL of ingest rules and of spans whose parts are counted."""

__all__ = ["MARK", "MARKED", "RULES"]

RULES = """
select key, content from (
  select distinct on (key) key, content from faregate.definition where kind = 'ingest_rule' order by key, version desc
) latest where content is not null order by key
"""

MARKED = """
select key from faregate.usage_event_key where key = any(cast(:keys as uuid[])) and event_key <> key
"""

MARK = """
insert into faregate.usage_event_key (key, event_key, subject_id, time)
select distinct on (m.key) m.key, k.event_key, k.subject_id, k.time
from unnest(cast(:keys as uuid[]), cast(:claims as uuid[])) m(key, claim)
join faregate.usage_event_key k on k.key = m.claim
order by m.key
on conflict (key) do nothing
"""
