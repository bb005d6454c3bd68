"""What quotas and alerts hold on a person: limits of their own, and addresses that alerts go to."""

__all__ = ["ANALYTICS_ERASURES", "ANALYTICS_EXPORTS"]

ANALYTICS_EXPORTS = {
    "quota": """
    select to_json(t)::text from (
      select quota_id, meter, period, limit_value, hard, timezone, emails, created_at
      from faregate.quota where subject_id = :subject order by quota_id) t
    """,
    "quota_alert": """
    select to_json(t)::text from (
      select a.alert_id, a.level, a.used, a.limit_value, a.period_start, a.fired_at
      from faregate.quota_alert a join faregate.quota q using (quota_id) where q.subject_id = :subject order by a.fired_at) t
    """,
    "quota_recipient": """
    select to_json(t)::text from (
      select quota_id, meter, period from faregate.quota
      where exists (select from unnest(emails) as address where lower(address) = lower(:email)) order by quota_id) t
    """,
}

ANALYTICS_ERASURES = {
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
      q.subject_id = :subject or position(lower(:email) in lower(d.last_error)) > 0 or position(:user_id in d.last_error) > 0)
    returning 1
    """,
}
"""Of a quota of the person's own all addresses go: they are most likely theirs. Limits and counts stay."""
