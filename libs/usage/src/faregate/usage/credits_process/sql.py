"""SQL of usage events that settlements make."""

from faregate.usage.events.keys import OWN_SOURCES
from faregate.usage.events.repository import COUNTED
from faregate.usage.events.rows import COLUMNS

__all__ = ["EVENT_ADD", "EVENT_CLAIM", "EVENT_COLUMNS", "EVENT_STORED", "REPORTED_GIVE_WAY"]

REPORTED_TYPES = {
    "claim": "uuid",
    "usage_key": "text",
    "subject_id": "bigint",
    "time": "timestamptz",
    "meaning": "uuid",
}

REPORTED_TAKEN_BACK = ", ".join(f"-{name}" if name in COUNTED else name for name in COLUMNS)

REPORTED_GIVE_WAY = f"""
with settled as materialized (
  select * from unnest({", ".join(f"cast(:{name} as {kind}[])" for name, kind in REPORTED_TYPES.items())})
  as n ({", ".join(REPORTED_TYPES)})
), held as materialized (
  select n.claim, n.usage_key, n.meaning, k.event_key, k.subject_id, k.time
  from settled n join faregate.usage_event_key k on k.key = n.claim order by n.claim for update of k
), places as (
  select * from held
  union select h.claim, h.usage_key, h.meaning, h.event_key, c.subject_id, c.time
  from held h join faregate.usage_correction c on c.event_key = h.event_key
), standing as materialized (
  select e.*, p.claim, p.meaning from places p
  join faregate.usage_event e on e.subject_id = p.subject_id and e.time = p.time and e.event_key = p.event_key
  where e.sign = 1 and e.kind = 0 and e.usage_key = p.usage_key and not starts_with(e.source, '{OWN_SOURCES}')
    and not exists (
      select from faregate.usage_correction c where c.event_key = e.event_key and c.version = e.version)
), corrected as (
  insert into faregate.usage_correction (event_key, version, replaced, meaning_hash, subject_id, time, reason)
  select event_key, version, false, meaning, subject_id, time, 'its use was settled' from standing
  where event_key <> claim order by event_key
  on conflict (event_key, version) do nothing returning event_key
), taken_back as (
  insert into faregate.usage_event (sign, {", ".join(COLUMNS)}) select -1, {REPORTED_TAKEN_BACK} from standing
), moved as (
  update faregate.usage_event_key k set event_key = n.claim, subject_id = n.subject_id, time = n.time
  from settled n where k.key = n.claim
)
select (select count(*) from standing where event_key <> claim) as standing, (select count(*) from corrected) as corrected
"""  # noqa: S608

EVENT_COLUMNS = {
    "claim": "uuid",
    "event_key": "uuid",
    "subject_id": "bigint",
    "time": "timestamptz",
    "kind": "smallint",
    "organization_id": "bigint",
    "service": "text",
    "feature_key": "text",
    "usage_key": "text",
    "model": "text",
    "provider": "text",
    "requests": "smallint",
    "calls": "smallint",
    "input_tokens": "bigint",
    "output_tokens": "bigint",
    "credits": "bigint",
    "charged": "bigint",
    "cost": "bigint",
    "latency_ms": "integer",
    "status": "smallint",
    "source": "text",
    "external_id": "text",
}

EVENT_STORED = [name for name in EVENT_COLUMNS if name != "claim"]

EVENT_ADD = f"""
with n as materialized (
  select * from unnest({", ".join(f"cast(:{name} as {kind}[])" for name, kind in EVENT_COLUMNS.items())})
  as n ({", ".join(EVENT_COLUMNS)})
), claimed as (
  insert into faregate.usage_event_key (key, event_key, subject_id, time)
  select claim, event_key, subject_id, time from n where claim is not null order by claim
  on conflict (key) do nothing returning key
), added as (
  insert into faregate.usage_event ({", ".join(EVENT_STORED)}) select {", ".join(EVENT_STORED)} from n
)
select key from claimed
"""  # noqa: S608

EVENT_CLAIM = """
insert into faregate.usage_event_key (key, event_key, subject_id, time)
select * from unnest(cast(:claim as uuid[]), cast(:event_key as uuid[]), cast(:subject_id as bigint[]),
  cast(:time as timestamptz[]))
on conflict (key) do nothing returning key
"""
