"""SQL of subjects, scheduled jobs and versions."""

__all__ = [
    "JOB_ADD",
    "JOB_CLAIM",
    "JOB_FINISH",
    "JOB_GIVE_BACK",
    "JOB_RENEW",
    "SUBJECT_ADD",
    "SUBJECT_FIND",
    "SUBJECT_NAME",
    "SUBJECT_NUMBERS",
    "SUBJECT_SET_EMAIL",
    "VERSION_RAISE",
    "VERSION_READ",
]

JOB_ADD = """
insert into faregate.scheduled_job (name, next_at)
select job.name, cast(:now as timestamptz) from unnest(cast(:names as text[])) as job (name)
on conflict (name) do nothing
"""

JOB_CLAIM = """
update faregate.scheduled_job j
set leased_until = cast(:now as timestamptz) + cast(:lease as interval), last_started_at = :now
from (
  select name from faregate.scheduled_job
  where name = any(cast(:names as text[])) and next_at <= :now and (leased_until is null or leased_until <= :now)
  order by next_at limit 1 for update skip locked
) due
where j.name = due.name
returning j.name, j.last_started_at
"""

JOB_FINISH = """
update faregate.scheduled_job
set next_at = :next_at, leased_until = null, last_finished_at = :now, last_error = cast(:error as text)
where name = :name and last_started_at = :claimed_at
"""

JOB_RENEW = """
update faregate.scheduled_job set leased_until = :until where name = :name and last_started_at = :claimed_at returning 1
"""

JOB_GIVE_BACK = """
update faregate.scheduled_job set leased_until = null where name = :name and last_started_at = :claimed_at
"""

SUBJECT_FIND = """
select s.subject_id, s.external_id, s.email
from unnest(cast(:ids as text[])) as wanted (external_id)
join faregate.subject s using (external_id)
"""

SUBJECT_NUMBERS = """
select array(
  select s.subject_id from unnest(cast(:ids as text[])) with ordinality as wanted (id, place)
  left join faregate.subject s on s.external_id = wanted.id
  order by wanted.place) as numbers
"""
"""The numbers in the order of the ids, null for those that are unknown: one value is read faster than thousands of rows."""

SUBJECT_ADD = """
insert into faregate.subject (external_id)
select wanted.id from unnest(cast(:ids as text[])) as wanted (id) order by wanted.id
on conflict (external_id) do nothing
"""

SUBJECT_NAME = (
    "select subject_id, external_id, email from faregate.subject where subject_id = any(cast(:ids as bigint[]))"
)

SUBJECT_SET_EMAIL = """
update faregate.subject set email = :email where subject_id = :subject_id and email is distinct from cast(:email as text)
"""

VERSION_READ = "select version from faregate.version where name = :name"

VERSION_RAISE = """
insert into faregate.version as v (name, version) values (:name, 1)
on conflict (name) do update set version = v.version + 1
"""

MONTH_CREATE = "select faregate.create_month(cast(:parent as text), cast(:month as date))"
"""By functions that have the rights of the schema's owner: the role of a process may only read and write rows."""

MONTH_DETACH = "select faregate.detach_month(cast(:parent as text), cast(:month as date))"

MONTH_DROP = "select faregate.drop_month(cast(:parent as text), cast(:month as date))"
