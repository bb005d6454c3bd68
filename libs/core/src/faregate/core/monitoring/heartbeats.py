"""What running processes say of themselves; above all how far settlement has come.

While settlement is behind, holds must not expire: the credits they set aside are spent already, the message that says so
only has not been read. So holds are swept up to `settled_until`, not up to now.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.db.database import Database
from faregate.core.monitoring.sql import ALIVE, FORGET, REPORT, SETTLED_UNTIL

__all__ = ["Heartbeats", "Progress"]

FORGOTTEN_AFTER = timedelta(days=1)
"""A worker that said nothing for so long was taken away on purpose; it holds nothing back any longer."""

OUTLIVED_AFTER = timedelta(minutes=1)
"""A worker that fell silent so long before another one spoke is dead: by then its messages are back in the queue, where
the living see them (a lease ends after 60 s, RabbitMQ misses a peer after 30 s). Without this, each crash would keep all
holds open for a day."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many workers speak, and up to when they have settled (None: none ever spoke)."""

    workers: int
    settled_until: datetime | None


class Heartbeats:
    """Writes and reads the table `heartbeat`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, instance: str, role: str, *, settled_until: datetime | None = None) -> None:
        """Say that `instance` lives; `settled_until` as `Heartbeat` explains it (None: it settles nothing)."""
        async with self._database.transaction() as session:
            await self._database.rows(session, REPORT, instance=instance, role=role, settled_until=settled_until)

    async def forget(self, instance: str) -> None:
        """Say that `instance` ended in good order."""
        async with self._database.transaction() as session:
            await self._database.rows(session, FORGET, instance=instance)

    async def settled_until(self, session: AsyncSession) -> datetime | None:
        """Return the moment up to which all living workers have settled; None when no worker ever reported.

        When all of them are silent, the last ones to speak count, for a day.
        """
        (row,) = await self._database.rows(session, SETTLED_UNTIL, forgotten=FORGOTTEN_AFTER, outlived=OUTLIVED_AFTER)
        return cast("datetime | None", row.settled_until)

    async def progress(self) -> Progress:
        """Return what the workers say of themselves now."""
        async with self._database.transaction(read_only=True) as session:
            (row,) = await self._database.rows(session, ALIVE)
            return Progress(row.workers, await self.settled_until(session))
