"""Queue of the deliveries of alerts, one table for each kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.values import Alert
from faregate.core.db.database import Database

__all__ = ["AlertQueue", "DeliveryTable"]


@dataclass(frozen=True, slots=True)
class DeliveryTable:
    """A table of deliveries.

    Attributes:
        name: the table, in the schema `faregate`.
        key: its column with the id of the alert.
        read: the SELECT of a claim's alerts, from `claimed c`, with the columns `c.channel, c.attempts`.
    """

    name: str
    key: str
    read: str


class AlertQueue:
    """Deliveries of one kind of alert that wait for their channels, in the caller's transaction.

    Args:
        alert_of: makes the alert of a row that the table's `read` returns.
    """

    def __init__(self, database: Database, table: DeliveryTable, alert_of: Callable[[Any], Alert]) -> None:
        self._database = database
        self._alert_of = alert_of
        self._enqueue, self._claim, self._delivered, self._missed = _statements(table)

    async def enqueue(
        self, session: AsyncSession, alert_ids: Sequence[UUID], channels: Sequence[str], *, deliver_at: datetime
    ) -> None:
        """Queue alerts for their channels; those that are queued already stay as they are."""
        await self._database.rows(
            session, self._enqueue, alert_ids=list(alert_ids), channels=list(channels), next_at=deliver_at
        )

    async def claim(
        self, session: AsyncSession, *, channels: Sequence[str], now: datetime, lease: timedelta, limit: int
    ) -> Sequence[tuple[Alert, str, int]]:
        """Claim due deliveries for the time `lease`: (alert, channel, the number of this attempt)."""
        rows = await self._database.rows(
            session, self._claim, channels=list(channels), now=now, lease=lease, limit=limit
        )
        return [(self._alert_of(row), row.channel, row.attempts) for row in rows]

    async def delivered(self, session: AsyncSession, alert_id: UUID, channel: str, *, now: datetime) -> None:
        """Record that a channel has accepted an alert."""
        await self._database.rows(session, self._delivered, alert_id=alert_id, channel=channel, now=now)

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
        """Record that a channel did not accept an alert; without `again_at` the delivery has failed permanently."""
        await self._database.rows(
            session,
            self._missed,
            alert_id=alert_id,
            channel=channel,
            status="failed" if again_at is None else "pending",
            next_at=again_at or now,
            error=error,
        )


def _statements(table: DeliveryTable) -> tuple[str, str, str, str]:
    name, key = f"faregate.{table.name}", table.key
    return (
        f"""insert into {name} ({key}, channel, next_at)
select a.id, c.channel, cast(:next_at as timestamptz)
from unnest(cast(:alert_ids as uuid[])) as a (id), unnest(cast(:channels as text[])) as c (channel)
on conflict do nothing""",  # noqa: S608
        f"""with due as (
  select {key}, channel from {name}
  where status = 'pending' and next_at <= :now and channel = any(cast(:channels as text[]))
  order by next_at limit :limit for update skip locked
), claimed as (
  update {name} d set attempts = d.attempts + 1, next_at = cast(:now as timestamptz) + cast(:lease as interval)
  from due where d.{key} = due.{key} and d.channel = due.channel returning d.{key}, d.channel, d.attempts
)
{table.read}""",  # noqa: S608
        f"""update {name} set status = 'delivered', delivered_at = :now, last_error = null
where {key} = :alert_id and channel = :channel""",  # noqa: S608
        f"""update {name} set status = :status, next_at = :next_at, last_error = :error
where {key} = :alert_id and channel = :channel""",  # noqa: S608
    )
