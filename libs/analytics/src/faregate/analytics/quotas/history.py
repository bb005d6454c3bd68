"""All SQL about alerts: fired once, delivered until taken, kept for reading."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.levels import Level, percent_used
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.values import Alert, AlertDelivery, AlertFilter, QuotaStatus
from faregate.core.db.database import Database
from faregate.wire.ids import new_uuid7

__all__ = ["AlertHistory"]

_ALERT = """
a.alert_id, a.quota_id, a.period_start, a.period_end, a.level, a.used, a.limit_value, a.superseded, a.runs_out_at,
a.fired_at, q.meter, q.period, q.hard, q.emails, coalesce(s.external_id, '*') as owner_id
"""

_JOIN = """
join faregate.quota q using (quota_id)
left join faregate.subject s using (subject_id)
"""

_FIRE = """
insert into faregate.quota_alert (
  alert_id, quota_id, revision, period_start, period_end, level, used, limit_value, superseded, runs_out_at, fired_at
)
select n.*, cast(:now as timestamptz) from unnest(
  cast(:alert_ids as uuid[]), cast(:quota_ids as uuid[]), cast(:revisions as int[]),
  cast(:starts as timestamptz[]), cast(:ends as timestamptz[]), cast(:levels as text[]), cast(:used as numeric[]),
  cast(:limits as numeric[]), cast(:superseded as bool[]), cast(:runs_out as timestamptz[])
) as n (alert_id, quota_id, revision, start_at, end_at, level, used, limit_value, superseded, runs_out_at)
join faregate.quota q on q.quota_id = n.quota_id and q.revision = n.revision
order by n.quota_id, n.start_at, n.level
on conflict on constraint quota_alert_once_key do nothing
returning alert_id, superseded
"""

_ENQUEUE = """
insert into faregate.alert_delivery (alert_id, channel, next_at)
select a.alert_id, c.channel, cast(:now as timestamptz)
from unnest(cast(:alert_ids as uuid[])) as a (alert_id), unnest(cast(:channels as text[])) as c (channel)
"""

_BY_ID = f"select {_ALERT} from faregate.quota_alert a {_JOIN} where a.alert_id = any(cast(:alert_ids as uuid[]))"  # noqa: S608

_CLAIM = f"""
with due as (
  select alert_id, channel from faregate.alert_delivery
  where status = 'pending' and next_at <= :now and channel = any(cast(:channels as text[]))
  order by next_at limit :limit for update skip locked
), claimed as (
  update faregate.alert_delivery d
  set attempts = d.attempts + 1, next_at = cast(:now as timestamptz) + cast(:lease as interval)
  from due where d.alert_id = due.alert_id and d.channel = due.channel
  returning d.alert_id, d.channel, d.attempts
)
select {_ALERT}, claimed.channel, claimed.attempts
from claimed join faregate.quota_alert a using (alert_id) {_JOIN}
"""  # noqa: S608

_DONE = """
update faregate.alert_delivery set status = 'delivered', delivered_at = :now, last_error = null
where alert_id = :alert_id and channel = :channel
"""

_MISSED = """
update faregate.alert_delivery
set status = :status, next_at = :next_at, last_error = :error
where alert_id = :alert_id and channel = :channel
"""

_LIST = f"""
select {_ALERT} from faregate.quota_alert a {_JOIN}
where (cast(:owner_id as text) is null or coalesce(s.external_id, '*') = :owner_id)
  and (cast(:quota_id as uuid) is null or a.quota_id = :quota_id)
  and (cast(:meter as text) is null or q.meter = :meter)
  and (cast(:level as text) is null or a.level = :level)
  and (cast(:since as timestamptz) is null or a.fired_at >= :since)
  and (cast(:until as timestamptz) is null or a.fired_at < :until)
  and (cast(:before as uuid) is null or a.alert_id < :before)
order by a.alert_id desc limit :limit
"""  # noqa: S608

_DELIVERIES = """
select alert_id, channel, status, attempts, delivered_at, last_error
from faregate.alert_delivery where alert_id = any(cast(:alert_ids as uuid[])) order by alert_id, channel
"""


class AlertHistory:
    """Reads and writes alerts in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fire(
        self,
        session: AsyncSession,
        reached: Sequence[tuple[QuotaStatus, Level]],
        *,
        now: datetime,
        channels: Sequence[str],
    ) -> Sequence[Alert]:
        """Store those of `reached` that are new in their period, and queue the most urgent new one of each quota.

        Returns:
            The alerts that are to be delivered. Of several callers at once, one gets each.
        """
        top = {
            status.quota.id: max(level.rank for s, level in reached if s.quota.id == status.quota.id)
            for status, _ in reached
        }
        rows = await self._database.rows(
            session,
            _FIRE,
            alert_ids=[new_uuid7() for _ in reached],
            quota_ids=[status.quota.id for status, _ in reached],
            revisions=[status.quota.revision for status, _ in reached],
            starts=[status.window.start for status, _ in reached],
            ends=[status.window.end for status, _ in reached],
            levels=[level.value for _, level in reached],
            used=[status.used for status, _ in reached],
            limits=[status.quota.spec.limit for status, _ in reached],
            superseded=[level.rank < top[status.quota.id] for status, level in reached],
            runs_out=[status.prediction.runs_out_at if status.prediction else None for status, _ in reached],
            now=now,
        )
        new = [row.alert_id for row in rows if not row.superseded]
        if not new:
            return ()
        await self._database.rows(session, _ENQUEUE, alert_ids=new, channels=list(channels), now=now)
        return [alert_of(row) for row in await self._database.rows(session, _BY_ID, alert_ids=new)]

    async def claim(
        self, session: AsyncSession, *, channels: Sequence[str], now: datetime, lease: timedelta, limit: int
    ) -> Sequence[tuple[Alert, str, int]]:
        """Take deliveries that are due, for `lease`: (alert, channel, the number of this attempt)."""
        rows = await self._database.rows(session, _CLAIM, channels=list(channels), now=now, lease=lease, limit=limit)
        return [(alert_of(row), row.channel, row.attempts) for row in rows]

    async def delivered(self, session: AsyncSession, alert_id: UUID, channel: str, *, now: datetime) -> None:
        """Note that a channel has taken an alert."""
        await self._database.rows(session, _DONE, alert_id=alert_id, channel=channel, now=now)

    async def missed(
        self,
        session: AsyncSession,
        alert_id: UUID,
        channel: str,
        *,
        error: str,
        again_at: datetime | None,
        now: datetime,
    ) -> None:
        """Note that a channel did not take an alert; without `again_at` it has failed for good."""
        await self._database.rows(
            session,
            _MISSED,
            alert_id=alert_id,
            channel=channel,
            status="failed" if again_at is None else "pending",
            next_at=again_at or now,
            error=error,
        )

    async def matching(self, session: AsyncSession, wanted: AlertFilter) -> Sequence[Alert]:
        """Return alerts, the latest first, with their deliveries."""
        rows = await self._database.rows(
            session,
            _LIST,
            owner_id=wanted.owner_id,
            quota_id=wanted.quota_id,
            meter=wanted.meter,
            level=wanted.level.value if wanted.level else None,
            since=wanted.since,
            until=wanted.until,
            before=wanted.before,
            limit=wanted.limit,
        )
        sent = await self._deliveries(session, [row.alert_id for row in rows])
        return [alert_of(row, tuple(sent.get(row.alert_id, ()))) for row in rows]

    async def _deliveries(self, session: AsyncSession, alert_ids: Sequence[UUID]) -> dict[UUID, list[AlertDelivery]]:
        found: dict[UUID, list[AlertDelivery]] = {}
        for row in await self._database.rows(session, _DELIVERIES, alert_ids=list(alert_ids)):
            delivery = AlertDelivery(row.channel, row.status, row.attempts, row.delivered_at, row.last_error)
            found.setdefault(row.alert_id, []).append(delivery)
        return found


def alert_of(row: Any, deliveries: tuple[AlertDelivery, ...] = ()) -> Alert:
    """Return the alert in a row that holds `_ALERT`."""
    return Alert(
        id=row.alert_id,
        quota_id=row.quota_id,
        owner_id=row.owner_id,
        meter=row.meter,
        period=QuotaPeriod(row.period),
        period_start=row.period_start,
        period_end=row.period_end,
        level=Level(row.level),
        percent=percent_used(row.used, row.limit_value),
        used=row.used,
        limit=row.limit_value,
        hard=row.hard,
        superseded=row.superseded,
        runs_out_at=row.runs_out_at,
        emails=tuple(row.emails),
        fired_at=row.fired_at,
        deliveries=deliveries,
    )
