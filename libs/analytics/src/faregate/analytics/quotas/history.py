"""Repository of alerts and their deliveries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.alert_queue_repository import AlertQueue, DeliveryTable
from faregate.analytics.quotas.levels import Level, percent_used
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.sql import (
    ALERT_BY_ID,
    ALERT_CLAIMED,
    ALERT_DELIVERIES,
    ALERT_FIRE,
    ALERT_LIST,
)
from faregate.analytics.quotas.values import Alert, AlertDelivery, AlertFilter, QuotaStatus
from faregate.core.db.database import Database
from faregate.wire.ids import new_uuid7

__all__ = ["AlertHistory"]

_DELIVERIES = DeliveryTable("alert_delivery", "alert_id", ALERT_CLAIMED)


class AlertHistory:
    """Reads and writes alerts in the caller's transaction; `queue` has their deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.queue = AlertQueue(database, _DELIVERIES, alert_of)

    async def fire(
        self,
        session: AsyncSession,
        reached: Sequence[tuple[QuotaStatus, Level]],
        *,
        now: datetime,
        channels: Sequence[str],
    ) -> Sequence[Alert]:
        """Store the alerts of `reached` that are new in their period, and queue the most urgent new one of each quota.

        Returns:
            The alerts to deliver. Of several concurrent callers, only one gets each alert.
        """
        top = {
            status.quota.id: max(level.rank for s, level in reached if s.quota.id == status.quota.id)
            for status, _ in reached
        }
        rows = await self._database.rows(
            session,
            ALERT_FIRE,
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
        await self.queue.enqueue(session, new, channels, deliver_at=now)
        return [alert_of(row) for row in await self._database.rows(session, ALERT_BY_ID, alert_ids=new)]

    async def matching(self, session: AsyncSession, wanted: AlertFilter) -> Sequence[Alert]:
        """Return alerts, latest first, with their deliveries."""
        rows = await self._database.rows(
            session,
            ALERT_LIST,
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
        for row in await self._database.rows(session, ALERT_DELIVERIES, alert_ids=list(alert_ids)):
            delivery = AlertDelivery(row.channel, row.status, row.attempts, row.delivered_at, row.last_error)
            found.setdefault(row.alert_id, []).append(delivery)
        return found


def alert_of(row: Any, deliveries: tuple[AlertDelivery, ...] = ()) -> Alert:
    """Return the alert of a row with the columns `ALERT_ALERT`."""
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
