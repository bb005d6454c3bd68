"""Personal data in quotas, alerts, insights, reports, feedback and archived usage events.

It consists of quotas of the person, the addresses of alerts and reports, reports and insights about the person, feedback, and
archived events.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.retention.archiving import EventArchive
from faregate.core.privacy.person_words import json_erasure, json_names, json_without, words_erasure
from faregate.core.privacy.personal_data import Person, actor_erasure
from faregate.wire import exact_json

__all__ = ["ANALYTICS_ERASURES", "ANALYTICS_EXPORTS", "ArchivedEventsPersonalData"]

ANALYTICS_EXPORTS = {
    "quota": """
    select to_json(t)::text from (
      select quota_id, meter, period, limit_value, hard, timezone, thresholds, emails, active, created_at
      from faregate.quota where subject_id = :subject order by quota_id) t
    """,
    "quota_alert": """
    select to_json(t)::text from (
      select a.alert_id, a.level, a.used, a.limit_value, a.period_start, a.fired_at
      from faregate.quota_alert a join faregate.quota q using (quota_id) where q.subject_id = :subject order by a.fired_at) t
    """,
    "alert_delivery": """
    select to_json(t)::text from (
      select d.alert_id, d.channel, d.status, d.attempts, d.delivered_at, d.last_error
      from faregate.alert_delivery d join faregate.quota_alert a using (alert_id) join faregate.quota q using (quota_id)
      where q.subject_id = :subject order by d.alert_id, d.channel) t
    """,
    "usage_user": """
    select to_json(t)::text from (
      select grain, bucket, facts, requests, errors, input_tokens, output_tokens, credits / 1000000.0 as credits,
        charged / 1000000.0 as charged, cost, last_at
      from faregate.usage_user where subject_id = :subject order by grain, bucket) t
    """,
    "saved_view": """
    select to_json(t)::text from (
      select view_id, name, shared, state, created_at, updated_at from faregate.saved_view
      where subject_id = :subject order by view_id) t
    """,
    "insight": """
    select to_json(t)::text from (
      select i.insight_id, i.kind, i.made_at, i.answer from faregate.insight i where :subject = any(i.owners) order by 3) t
    """,
    "insight_person": """
    select to_json(t)::text from (
      select i.kind, i.made_at, p.rank, p.facts
      from faregate.insight_person p join faregate.insight i using (insight_id) where p.subject_id = :subject order by 2, 1) t
    """,
    "anomaly": """
    select to_json(t)::text from (
      select anomaly_id, measure, period_start, period_end, actual, expected, reason, verdict, found_at
      from faregate.anomaly where subject_id = :subject order by found_at) t
    """,
    "feedback": """
    select to_json(t)::text from (
      select usage_key, feature_key, score, tags, comment, sentiment, sentiment_by, created_at, updated_at
      from faregate.feedback where subject_id = :subject order by updated_at, usage_key) t
    """,
    "budget_recipient": """
    select to_json(t)::text from (
      select name, scope, value, period from faregate.budget
      where exists (select from unnest(emails) as address where lower(address) = lower(:email)) order by name) t
    """,
    "bill_import": """
    select to_json(t)::text from (
      select import_id, source, provider, file_name, lines, imported_at from faregate.bill_import
      where actor = any(cast(:signatures as text[])) order by imported_at, import_id) t
    """,
    "report_subscription": """
    select to_json(t)::text from (
      select name, kind, scope, filters, timezone, hour, weekday, month_day, files, active, next_at, updated_at
      from faregate.report_subscription where subject_id = :subject order by name) t
    """,
    "report_recipient": """
    select to_json(t)::text from (
      select name, address, listed, state, changed_at, last_error from faregate.report_recipient
      where lower(address) = lower(:email) order by name) t
    """,
    "report_delivery": """
    select to_json(t)::text from (
      select delivery_id, name, address, period_start, period_end, test, status, attempts, due_at, finished_at, last_error
      from faregate.report_delivery where lower(address) = lower(:email) order by due_at, delivery_id) t
    """,
    "quota_recipient": """
    select to_json(t)::text from (
      select quota_id, meter, period from faregate.quota
      where exists (select from unnest(emails) as address where lower(address) = lower(:email)) order by quota_id) t
    """,
}

ANALYTICS_ERASURES = {
    "saved_view": "delete from faregate.saved_view where subject_id = :subject returning 1",
    "saved_view_name": words_erasure("saved_view", "name"),
    "saved_view_state": json_erasure("saved_view", "state"),
    "quota": """
    update faregate.quota set emails = array(
      select address from unnest(emails) as address where lower(address) <> lower(:email) and subject_id is distinct from :subject)
    where emails <> '{}' and (
      subject_id = :subject or exists (select from unnest(emails) as address where lower(address) = lower(:email)))
    returning 1
    """,
    "alert_delivery": """
    update faregate.alert_delivery d set last_error = null from faregate.quota_alert a join faregate.quota q using (quota_id)
    where a.alert_id = d.alert_id and d.last_error is not null and (
      q.subject_id = :subject or d.last_error ~* :mentions)
    returning 1
    """,
    "alert_error": words_erasure("alert_delivery", "last_error"),
    "anomaly_error": words_erasure("anomaly_delivery", "last_error"),
    "objective_error": words_erasure("objective_delivery", "last_error"),
    "anomaly_verdict": actor_erasure("anomaly", "verdict_by"),
    "anomaly": "delete from faregate.anomaly where subject_id = :subject returning 1",
    "bill_import_actor": actor_erasure("bill_import", "actor"),
    "bill_import_file": words_erasure("bill_import", "file_name"),
    "budget": """
    update faregate.budget set emails = array(
      select address from unnest(emails) as address where lower(address) <> lower(:email))
    where exists (select from unnest(emails) as address where lower(address) = lower(:email)) returning 1
    """,
    "budget_error": words_erasure("budget_delivery", "last_error"),
    "feedback": "delete from faregate.feedback where subject_id = :subject returning 1",
    "feedback_of_others": words_erasure("feedback", "comment"),
    "feedback_tags": """
    update faregate.feedback set tags = array(select tag from unnest(tags) as tag where tag !~* :mentions)
    where exists (select from unnest(tags) as tag where tag ~* :mentions) returning 1
    """,
    "report_subscription": "delete from faregate.report_subscription where subject_id = :subject returning 1",
    "report_recipient": "delete from faregate.report_recipient where lower(address) = lower(:email) returning 1",
    "report_delivery": "delete from faregate.report_delivery where lower(address) = lower(:email) returning 1",
    "report_error": words_erasure("report_delivery", "last_error"),
    "report_recipient_error": words_erasure("report_recipient", "last_error"),
    "insight_person": "delete from faregate.insight_person where subject_id = :subject returning 1",
    "insight": "delete from faregate.insight where :subject = any(owners) returning 1",
}
"""All addresses of the person's own quotas are erased: they are most likely theirs. Limits and counts stay."""

_EXPORT_ARCHIVED = """
select to_json(e)::text from {rows} e where e.subject_id = :subject order by e.time
"""

_OWN_ID = "(position(:user_id in external_id) > 0 or position(:email in external_id) > 0)"

_ERASE_ARCHIVED = f"""
update {{rows}} set
  metadata = case when subject_id is distinct from :subject then {json_without("metadata")} end,
  tags = case when subject_id is distinct from :subject then {json_without("tags")} end,
  external_id = case when external_id ~* :in_keys or (subject_id = :subject and {_OWN_ID}) then null else external_id end
where (subject_id = :subject and (metadata is not null or tags is not null or {_OWN_ID}))
  or {json_names("metadata")} or {json_names("tags")} or external_id ~* :in_keys
returning 1
"""  # noqa: S608


class ArchivedEventsPersonalData:
    """`IPersonalData` of archived months of usage events: the same columns are erased as in the table."""

    def __init__(self, archive: EventArchive) -> None:
        self._archive = archive

    async def export(self, _session: AsyncSession, person: Person) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        store = self._archive.store
        if store is not None:
            async for row in store.select_all(_EXPORT_ARCHIVED, subject=person.subject_id):
                yield "usage_event", exact_json.loads(row[0])

    async def erase(self, session: AsyncSession, person: Person) -> Mapping[str, int]:
        store = self._archive.store
        if store is None:
            return {}
        await store.hold(session)
        names = ("subject", "user_id", "email", "in_places", "in_json", "in_keys")
        named = {name: person.parameters[name] for name in names}
        return {"usage_event_archived": await store.amend_all(_ERASE_ARCHIVED, **named)}
