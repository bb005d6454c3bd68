"""SQL of kept insights."""

__all__ = [
    "INSIGHT_ADD",
    "INSIGHT_BY_ID",
    "INSIGHT_FIND",
    "INSIGHT_FORGET",
    "INSIGHT_HEAVY",
    "INSIGHT_PEOPLE",
    "INSIGHT_SINCE",
]

INSIGHT_HEAVY = """
select set_config('work_mem', '256MB', true), set_config('jit', 'off', true), set_config('statement_timeout', '120s', true)
"""
"""Lets one transaction sort and group a million rows in memory."""

_COLUMNS = "insight_id, kind, enough, made_at, evidence::text as evidence, answer::text as answer"

INSIGHT_ADD = """
with superseded as (delete from faregate.insight where ask_key = :ask_key and not enough)
insert into faregate.insight (insight_id, kind, ask_key, parameters, owners, enough, evidence, answer, made_at)
values (:insight_id, :kind, :ask_key, cast(cast(:parameters as text) as jsonb), array(
    select subject_id from faregate.subject where external_id = any(cast(:owners as text[]))),
  :enough, cast(cast(:evidence as text) as jsonb), cast(cast(:answer as text) as jsonb), :now)
"""

INSIGHT_FIND = f"""
select {_COLUMNS} from faregate.insight where ask_key = :ask_key order by made_at desc limit 1
"""  # noqa: S608

INSIGHT_BY_ID = f"select {_COLUMNS} from faregate.insight where insight_id = :insight_id"  # noqa: S608

INSIGHT_SINCE = f"""
select {_COLUMNS} from faregate.insight where ask_key = :ask_key and made_at >= :since and enough
order by made_at desc limit :limit
"""  # noqa: S608

INSIGHT_PEOPLE = """
select p.rank, p.subject_id, p.facts::text as facts, s.external_id as user_id
from faregate.insight_person p left join faregate.subject s using (subject_id)
where p.insight_id = :insight_id and (cast(:user_id as text) is null or s.external_id = :user_id)
order by p.rank limit :limit
"""

INSIGHT_FORGET = "delete from faregate.insight where made_at < :before returning 1"
