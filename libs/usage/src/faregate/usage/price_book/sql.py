"""SQL of repriced usage events."""

__all__ = ["REPLACE", "TYPES"]

TYPES = {
    "event_key": "uuid",
    "meaning": "uuid",
    "credits": "bigint",
    "charged": "bigint",
    "cost": "bigint",
    "provider": "text",
    "reason": "text",
}

KEPT = (
    *("time", "event_key", "kind", "subject_id", "organization_id", "service", "feature_key", "usage_key", "model"),
    *("meter", "latency_ms", "status", "country", "device", "source", "external_id", "tags", "metadata"),
)

COUNTED = ("quantity", "requests", "calls", "input_tokens", "output_tokens")

COLUMNS = ", ".join(("sign", "version", "provider", "credits", "charged", "cost", *COUNTED, *KEPT))

PLACES = """
select cast(:subject_id as bigint) as subject_id, cast(:time as timestamptz) as time
union select c.subject_id, c.time from faregate.usage_correction c where c.event_key = any(cast(:event_key as uuid[]))
"""

REPLACE = f"""
with changes as materialized (
  select * from unnest({", ".join(f"cast(:{name} as {kind}[])" for name, kind in TYPES.items())})
  as n ({", ".join(TYPES)})
), standing as materialized (
  select e.*, n.meaning, n.reason, n.credits as more_credits, n.charged as more_charged, n.cost as new_cost,
    n.provider as new_provider
  from changes n join ({PLACES}) p on true
  join faregate.usage_event e on e.subject_id = p.subject_id and e.time = p.time and e.event_key = n.event_key
  where e.sign = 1 and not exists (
    select from faregate.usage_correction c where c.event_key = e.event_key and c.version = e.version)
), corrected as (
  insert into faregate.usage_correction (event_key, version, replaced, meaning_hash, subject_id, time, reason, actor)
  select event_key, version, true, meaning, subject_id, time, reason, cast(:actor as text) from standing order by event_key
  on conflict (event_key, version) do nothing returning event_key
), added as (
  insert into faregate.usage_event ({COLUMNS})
  select -1, version, provider, -credits, -charged, -cost, {", ".join(f"-{name}" for name in COUNTED)},
    {", ".join(KEPT)} from standing
  union all
  select 1, version + 1, coalesce(new_provider, provider), credits + more_credits, charged + more_charged,
    coalesce(new_cost, cost), {", ".join(COUNTED)}, {", ".join(KEPT)} from standing
)
select (select count(*) from standing) as standing, (select count(*) from corrected) as corrected
"""  # noqa: S608
