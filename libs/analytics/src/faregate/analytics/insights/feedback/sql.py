"""SQL of feedback and rated uses."""

__all__ = [
    "FEEDBACK_FORGET",
    "FEEDBACK_LIST",
    "FEEDBACK_PUT",
    "FEEDBACK_RATED",
    "FEEDBACK_SENTIMENT",
    "FEEDBACK_UNREAD",
    "FEEDBACK_USE",
]

FEEDBACK_USE = """
select c.subject_id, c.feature_key, s.external_id as user_id
from faregate.charge c join faregate.subject s on s.subject_id = c.subject_id where c.usage_key = :usage_key
"""

_SAID = "(f.score, f.tags, f.comment)"
_SAYS = "(excluded.score, excluded.tags, excluded.comment)"

FEEDBACK_PUT = f"""
insert into faregate.feedback as f (usage_key, subject_id, feature_key, score, tags, comment, created_at, updated_at)
values (:usage_key, :subject_id, :feature_key, :score, cast(:tags as text[]), cast(:comment as text), :now, :now)
on conflict (usage_key, subject_id) do update set
  score = excluded.score, tags = excluded.tags, comment = excluded.comment,
  sentiment = case when f.comment is distinct from excluded.comment then null else f.sentiment end,
  sentiment_by = case when f.comment is distinct from excluded.comment then null else f.sentiment_by end,
  updated_at = case when {_SAID} is distinct from {_SAYS} then excluded.updated_at else f.updated_at end
returning usage_key, feature_key, score, tags, comment, sentiment, sentiment_by, created_at, updated_at
"""  # noqa: S608

FEEDBACK_LIST = """
select f.*, s.external_id as user_id from faregate.feedback f join faregate.subject s using (subject_id)
where (cast(:feature as text) is null or f.feature_key = :feature)
  and (cast(:user_id as text) is null or s.external_id = :user_id)
  and (cast(:usage_key as text) is null or f.usage_key = :usage_key)
  and (cast(:most_score as int) is null or f.score <= :most_score)
  and (cast(:since as timestamptz) is null or f.updated_at >= :since)
  and (cast(:until as timestamptz) is null or f.updated_at < :until)
  and (cast(:before_at as timestamptz) is null or (f.updated_at, f.usage_key) < (:before_at, cast(:before_key as text)))
order by f.updated_at desc, f.usage_key desc limit :limit
"""

FEEDBACK_RATED = """
with given as materialized (
  select f.* from faregate.feedback f
  where f.updated_at >= :start and f.updated_at < :end and (cast(:feature as text) is null or f.feature_key = :feature)
), lines as (
  select l.usage_key, array_agg(distinct l.model) filter (where l.model is not null) as models,
    sum(l.provider_cost_usd) as cost, bool_or(l.provider_cost_usd is null and l.price_version = 'unpriced') as unpriced
  from given g join faregate.usage_line l using (usage_key) group by 1
)
select g.subject_id, g.score, g.sentiment, g.tags, g.feature_key, l.models, l.cost, l.unpriced, c.consumed, c.duration_ms
from given g join faregate.charge c using (usage_key) left join lines l using (usage_key)
"""

FEEDBACK_UNREAD = """
select usage_key, subject_id, updated_at, comment from faregate.feedback
where comment is not null and sentiment_by is null order by updated_at limit :limit
"""

FEEDBACK_SENTIMENT = """
update faregate.feedback f set sentiment = n.sentiment, sentiment_by = :model
from unnest(cast(:usage_keys as text[]), cast(:subject_ids as bigint[]), cast(:moments as timestamptz[]),
  cast(:sentiments as numeric[])) as n (usage_key, subject_id, updated_at, sentiment)
where f.usage_key = n.usage_key and f.subject_id = n.subject_id and f.updated_at = n.updated_at and f.comment is not null
returning 1
"""

FEEDBACK_FORGET = "delete from faregate.feedback where updated_at < :before returning 1"
