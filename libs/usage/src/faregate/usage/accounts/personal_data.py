"""Export and erasure of a person's usage data.

An erasure keeps numbers and removes texts.
"""

from faregate.core.privacy.person_words import GONE, json_erasure, words_erasure
from faregate.core.privacy.personal_data import actor_erasure

__all__ = ["USAGE_ERASURES", "USAGE_EXPORTS"]

USAGE_EXPORTS = {
    "usage_line": """
    select to_json(t)::text from (
      select l.usage_key, l.line_no, l.model, l.provider, l.tokens, l.provider_cost_usd, l.reported_cost_usd,
        l.credits / 1000000.0 as credits, l.raw, l.settled_at
      from faregate.charge c join faregate.usage_line l using (usage_key) where c.subject_id = :subject
      order by l.settled_at, l.usage_key, l.line_no) t
    """,
    "usage_event": """
    select to_json(t)::text from (select e.* from faregate.usage_event e where e.subject_id = :subject order by e.time) t
    """,
    "usage_correction": """
    select to_json(t)::text from (
      select event_key, version, replaced, time, reason, corrected_at,
        coalesce(actor = any(cast(:signatures as text[])), false) as as_actor
      from faregate.usage_correction
      where subject_id = :subject or actor = any(cast(:signatures as text[])) order by corrected_at) t
    """,
    "usage_event_key": """
    select to_json(t)::text from (
      select key, event_key, time, received_at from faregate.usage_event_key where subject_id = :subject order by received_at) t
    """,
    "feature_access": """
    select to_json(t)::text from (
      select key from faregate.feature where access->'users' @> to_jsonb(cast(:user_id as text)) order by key) t
    """,
    "definition": """
    select to_json(t)::text from (
      select kind, key, version, coalesce(actor = any(cast(:signatures as text[])), false) as as_actor, created_at
      from faregate.definition where actor = any(cast(:signatures as text[]))
        or content->'access'->'users' @> to_jsonb(cast(:user_id as text)) order by kind, key, version) t
    """,
    "price_override": """
    select to_json(t)::text from (
      select number, model, note, created_at from faregate.price_override
      where actor = any(cast(:signatures as text[])) order by number) t
    """,
    "membership": """
    select to_json(t)::text from (
      select o.external_id as organization, m.created_at
      from faregate.member m join faregate.subject o on o.subject_id = m.organization_id where m.subject_id = :subject) t
    """,
}


def _definition_erasure(member: str) -> str:
    """Return the statement that removes names from one text of the stored definitions; nothing else in them changes."""
    return f"""
    update faregate.definition set content = jsonb_set(content, '{{{member}}}',
      to_jsonb(regexp_replace(content->>'{member}', :certain, '{GONE}', 'gi')))
    where jsonb_typeof(content->'{member}') = 'string' and content->>'{member}' ~* :certain returning 1
    """  # noqa: S608


USAGE_ERASURES = {
    "usage_line": """
    update faregate.usage_line l set raw = null from faregate.charge c
    where c.usage_key = l.usage_key and c.subject_id = :subject and l.raw is not null returning 1
    """,
    "usage_event": """
    update faregate.usage_event set metadata = null, tags = null
    where subject_id = :subject and (metadata is not null or tags is not null) returning 1
    """,
    "usage_event_id": """
    update faregate.usage_event set external_id = null
    where subject_id = :subject and (position(:user_id in external_id) > 0 or position(:email in external_id) > 0) returning 1
    """,
    "usage_correction": """
    update faregate.usage_correction set reason = null where subject_id = :subject and reason is not null returning 1
    """,
    "membership": "delete from faregate.member where subject_id = :subject returning 1",
    "feature_access": """
    update faregate.feature set access = jsonb_set(access, '{users}', (access->'users') - :user_id)
    where access->'users' @> to_jsonb(cast(:user_id as text)) returning 1
    """,
    "definition": """
    update faregate.definition set content = jsonb_set(content, '{access,users}', (content->'access'->'users') - :user_id)
    where content->'access'->'users' @> to_jsonb(cast(:user_id as text)) returning 1
    """,
    "usage_line_of_others": json_erasure("usage_line", "raw"),
    "usage_event_of_others": json_erasure("usage_event", "metadata"),
    "usage_event_tags": json_erasure("usage_event", "tags"),
    "usage_event_id_of_others": """
    update faregate.usage_event set external_id = null where external_id ~* :in_keys returning 1
    """,
    "correction_reason": words_erasure("usage_correction", "reason"),
    "rejection_reason": words_erasure("usage_rejection", "reason"),
    "feature_name": words_erasure("feature", "name", pattern="certain"),
    "plan_name": words_erasure("plan", "name", pattern="certain"),
    "organization_name": words_erasure("organization", "name", pattern="certain"),
    "meter_description": words_erasure("usage_meter", "description", pattern="certain"),
    **{f"definition_{member}": _definition_erasure(member) for member in ("name", "note", "description")},
    "price_note": words_erasure("price_override", "note"),
    "definition_actor": actor_erasure("definition"),
    "price_actor": actor_erasure("price_override"),
    "correction_actor": actor_erasure("usage_correction"),
}
