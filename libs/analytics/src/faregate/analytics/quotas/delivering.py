"""Delivery of alerts to channels, with retries."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.alert_queue_repository import AlertQueue
from faregate.analytics.quotas.interfaces import IAlertChannel
from faregate.analytics.quotas.values import Alert
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import FaregateError
from faregate.core.logging import get_logger

__all__ = ["DELAYS", "AlertDeliverer"]

log = get_logger(__name__)

DELAYS = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 600, 3600, 6 * 3600))
"""The pause after each failed attempt; when the attempt after the last pause fails, the delivery has failed."""

_LEASE = timedelta(minutes=2)
_AT_ONCE = 8


class AlertDeliverer:
    """Claims due deliveries from a queue and sends each to its channel, outside any transaction."""

    def __init__(self, database: Database, queue: AlertQueue, channels: Sequence[IAlertChannel], clock: IClock) -> None:
        self._database = database
        self._queue = queue
        self._channels: Mapping[str, IAlertChannel] = {channel.name: channel for channel in channels}
        self._clock = clock

    async def deliver_due(self) -> int:
        """Try every due delivery once; return the number of delivered ones.

        Several processes may do so concurrently. If a process crashes after a channel accepted an alert and before that is
        recorded, the alert is delivered again, with the same alert id.
        """
        taken = 0
        while batch := await self._claim():
            taken += sum(await asyncio.gather(*(self._deliver(*due) for due in batch)))
        return taken

    async def _claim(self) -> Sequence[tuple[Alert, str, int]]:
        async def work(session: AsyncSession) -> Sequence[tuple[Alert, str, int]]:
            return await self._queue.claim(
                session, channels=list(self._channels), now=self._clock.now(), lease=_LEASE, limit=_AT_ONCE
            )

        return await self._database.run(work)

    async def _deliver(self, alert: Alert, channel: str, attempt: int) -> bool:
        try:
            await self._channels[channel].deliver(alert)
        except Exception as error:  # noqa: BLE001  any exception of a channel is recorded as its failure
            await self._missed(alert, channel, attempt, error)
            return False
        async with self._database.transaction() as session:
            await self._queue.delivered(session, alert.id, channel, now=self._clock.now())
        return True

    async def _missed(self, alert: Alert, channel: str, attempt: int, error: Exception) -> None:
        reason = error.detail if isinstance(error, FaregateError) else f"{type(error).__name__}: {error}"
        now = self._clock.now()
        again_at = now + DELAYS[attempt - 1] if attempt <= len(DELAYS) else None
        log.warning("alert_not_delivered", alert=str(alert.id), channel=channel, attempt=attempt, reason=reason)
        async with self._database.transaction() as session:
            await self._queue.missed(session, alert.id, channel, error=reason, again_at=again_at, now=now)
