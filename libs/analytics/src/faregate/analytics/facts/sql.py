"""SQL of archived months."""

from faregate.analytics.question.dimensions import Dimension, Grain

__all__ = ["ARCHIVED_MONTHS"]

ARCHIVED_MONTHS = f"""
select r.bucket as month from faregate.usage_rollup r
where r.dimension = {int(Dimension.TOTAL)} and r.value = '' and r.grain = {int(Grain.MONTH)}
  and r.bucket < cast(:end as timestamptz) and r.bucket + interval '1 month' > cast(:start as timestamptz)
  and exists (
    select from faregate.usage_rollup q
    where q.dimension = r.dimension and q.value = '' and q.grain = {int(Grain.QUARTER)} and q.facts <> 0
      and q.bucket > greatest(r.bucket, cast(:start as timestamptz)) - interval '15 minutes'
      and q.bucket >= r.bucket and q.bucket < least(r.bucket + interval '1 month', cast(:end as timestamptz)))
  and not exists (
    select from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = cast(cast(:parent as text) as regclass)
      and c.relname = 'usage_event_y' || to_char(r.bucket at time zone 'UTC', 'YYYY"m"MM'))
order by 1
"""  # noqa: S608
