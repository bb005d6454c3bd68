"""SQL of heartbeats and of the states of jobs."""

__all__ = ["ALIVE", "FORGET", "JOBS", "PROCESSES", "REPORT", "SETTLED_UNTIL"]

REPORT = """
insert into faregate.heartbeat (instance, role, settled_until, reported_at)
values (:instance, :role, cast(:settled_until as timestamptz), clock_timestamp())
on conflict (instance) do update
set role = excluded.role, settled_until = excluded.settled_until, reported_at = excluded.reported_at
"""

SETTLED_UNTIL = """
select min(h.settled_until) as settled_until
from faregate.heartbeat h, (select max(reported_at) as at from faregate.heartbeat where settled_until is not null) latest
where h.settled_until is not null and h.reported_at > clock_timestamp() - cast(:forgotten as interval)
  and h.reported_at > latest.at - cast(:outlived as interval)
"""

ALIVE = (
    "select count(*) as workers from faregate.heartbeat where reported_at > clock_timestamp() - interval '15 seconds'"
)

FORGET = "delete from faregate.heartbeat where instance = :instance"

JOBS = "select name, next_at, leased_until, last_started_at, last_finished_at, last_error from faregate.scheduled_job order by name"

PROCESSES = "select instance, role, settled_until, reported_at from faregate.heartbeat order by role, instance"
