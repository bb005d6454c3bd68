"""Archiving and restoring of usage events by month."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from faregate.analytics.rollups.job import Roller
from faregate.core.archive.archives import Archives, Manifest
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, Partitions
from faregate.core.errors import ConfigurationError, InvalidError

__all__ = ["EventArchive"]


class EventArchive:
    """Archives usage events; the sums of analytics stay unchanged.

    A month is archived once all of it is older than `keep_days`, which must be more than `late_days`, so that no event
    can arrive for an archived month.
    """

    def __init__(
        self,
        database: Database,
        partitions: Partitions,
        roller: Roller,
        clock: IClock,
        *,
        directory: Path | None,
        keep_days: int,
        late_days: float,
    ) -> None:
        self._database = database
        self._partitions = partitions
        self._roller = roller
        self._clock = clock
        self._directory = directory
        self._keep_days = keep_days
        self._late_days = late_days

    @property
    def configured(self) -> bool:
        """Whether a directory for archives is configured."""
        return self._directory is not None

    @property
    def store(self) -> Archives | None:
        """The archives, if a directory is configured."""
        return self._archives() if self.configured else None

    def manifests(self) -> Sequence[Manifest]:
        """Return the archived months, oldest first."""
        return self._archives().manifests()

    async def due(self, *, keep_days: int | None = None) -> Sequence[Month]:
        """Return the months whose retention is over, oldest first.

        Raises:
            InvalidError: events could still arrive for such recent months.
        """
        kept = self._keep_days if keep_days is None else keep_days
        if kept <= self._late_days:
            raise InvalidError(
                f"events may be {self._late_days:g} days late; keep months for longer than that", param="keep_days"
            )
        limit, archives, now = self._clock.now() - timedelta(days=kept), self._archives(), self._clock.now()
        async with self._database.transaction(read_only=True) as session:
            months = {*await self._partitions.attached(session), *await self._partitions.detached(session)}
        return sorted(m for m in months if m.end <= limit and not _is_back(archives.manifest(m), now))

    async def archive(self, *, keep_days: int | None = None) -> Sequence[Manifest]:
        """Archive every month whose retention is over, and drop it once its archive is verified. Safe to repeat after a crash:
        unfinished files that are at least a day old are removed.

        Raises:
            ArchiveError: the file differs from the data of the database; that month was not dropped.
        """
        months = await self.due(keep_days=keep_days)
        self._archives().clean()
        if months:
            await self._roller.run()
        return [await self._retire(month) for month in months]

    async def restore(self, month: str, *, days: int = 30) -> Manifest:
        """Load an archived month (`2026-01`) back into the table and leave it there for `days`.

        Its events are already in the sums and are not added again.
        """
        until: datetime = self._clock.now() + timedelta(days=days)
        return await self._archives().restore(Month.parse(month), until=until)

    async def _retire(self, month: Month) -> Manifest:
        archives = self._archives()
        known = archives.manifest(month)
        async with self._database.transaction(read_only=True) as session:
            attached = month in await self._partitions.attached(session)
        if known is not None and attached and known.restored_until is None:
            raise InvalidError(
                f"{month} is archived in {archives.directory} and has events again; restoring or archiving would lose one "
                "of the two: move that archive away first",
                param="month",
            )
        return await archives.retire(month)

    def _archives(self) -> Archives:
        if self._directory is None:
            raise ConfigurationError(
                "FAREGATE_USAGE_ARCHIVE_DIR is not set; set it to a directory for archives, e.g. /var/lib/faregate/archive"
            )
        return Archives(self._database, self._partitions, self._directory, self._clock)


def _is_back(manifest: Manifest | None, now: datetime) -> bool:
    """Whether a month was restored and its time in the table is not over."""
    return manifest is not None and manifest.restored_until is not None and manifest.restored_until > now
