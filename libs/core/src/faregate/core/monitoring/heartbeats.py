"""Heartbeats of processes, with the progress of settlement.

While settlement is behind, holds must not expire: the credits they reserve are spent already, and only the message that reports
it has not been processed. So holds expire up to `settled_until`, not up to now.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.monitoring.sql import ALIVE, FORGET, REPORT, SETTLED_UNTIL

__all__ = ["Heartbeats", "Progress"]

FORGOTTEN_AFTER = timedelta(days=1)
"""A worker that has not reported for this long was removed on purpose; it no longer delays the expiry of holds."""

OUTLIVED_AFTER = timedelta(minutes=1)
"""A worker whose last report is this much older than another's is dead: by then its messages are back in the queue, where live
workers see them (a lease ends after 60 s, RabbitMQ detects a dead peer after 30 s). Without this, each crash would keep all
holds open for a day.
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many workers report, and up to when they have settled (None: no worker has ever reported)."""

    workers: int
    settled_until: datetime | None


class Heartbeats:
    """Writes and reads the table `heartbeat`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, instance: str, role: str, *, settled_until: datetime | None = None) -> None:
        """Report that `instance` is alive; `settled_until` as in `HeartbeatRow` (None: it does not settle)."""
        async with self._database.transaction() as session:
            await self._database.rows(session, REPORT, instance=instance, role=role, settled_until=settled_until)

    async def forget(self, instance: str) -> None:
        """Record that `instance` was shut down in an orderly way."""
        async with self._database.transaction() as session:
            await self._database.rows(session, FORGET, instance=instance)

    async def settled_until(self, session: AsyncSession) -> datetime | None:
        """Return the moment up to which all live workers have settled; None if no worker has ever reported.

        If all of them are silent, the last ones to report count, for a day.
        """
        (row,) = await self._database.rows(session, SETTLED_UNTIL, forgotten=FORGOTTEN_AFTER, outlived=OUTLIVED_AFTER)
        return cast("datetime | None", row.settled_until)

    async def progress(self) -> Progress:
        """Return the current progress of the workers."""
        async with self._database.transaction(read_only=True) as session:
            (row,) = await self._database.rows(session, ALIVE)
            return Progress(row.workers, await self.settled_until(session))
