"""Retention of feature logs: partitions, archiving and deletion.

Partitions are created ahead of time, archived at the end of their retention, and dropped only after that. The longest retention
decides about months. Logs of features with a shorter retention are archived and deleted day by day. Without an archive directory
nothing is dropped, except logs past the shorter retention of a feature: setting it is a request to delete them.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.archive.archives import Archives, Manifest
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, Partitions, months_between
from faregate.core.errors import ConfigurationError, InvalidError
from faregate.core.logging import get_logger
from faregate.feature_log.repository import LogRepository
from faregate.feature_log.sql import (
    RETENTION_DAYS,
    RETENTION_DELETE_OVERDUE,
    RETENTION_OVERDUE_DAYS,
    RETENTION_RESET,
    RETENTION_ROUTED,
    RETENTION_SET,
)
from faregate.wire.ids import check_external_id

__all__ = ["LogRetention"]

log = get_logger(__name__)

_MONTHS_AHEAD = 2
_CHUNK = 5_000
_DAYS_MAX = 36_500
_RESTORED_FOR = timedelta(days=30)


_WITHIN = "r.logged_at >= cast(:since as timestamptz) and r.logged_at < cast(:until as timestamptz)"


class LogRetention:
    """Applies the retention to the table; run by the worker every hour."""

    def __init__(
        self,
        database: Database,
        clock: IClock,
        partitions: Partitions,
        repository: LogRepository,
        archives: Archives | None,
        *,
        default_days: int,
    ) -> None:
        self._database = database
        self._clock = clock
        self._partitions = partitions
        self._repository = repository
        self._archives = archives
        self._default_days = default_days

    async def set_days(self, feature_key: str, days: int | None) -> None:
        """Set the retention of one feature's logs in days; None returns to the setting."""
        check_external_id(feature_key, param="feature_key")
        if days is not None and not 1 <= days <= _DAYS_MAX:
            raise InvalidError(f"days must be 1 to {_DAYS_MAX}", param="days")
        async with self._database.transaction() as session:
            if days is None:
                await self._database.rows(session, RETENTION_RESET, feature_key=feature_key)
            else:
                await self._database.rows(session, RETENTION_SET, feature_key=feature_key, days=days)

    async def days(self) -> Mapping[str, int]:
        """Return the retention of features, if it differs from the setting."""
        async with self._database.transaction(read_only=True) as session:
            return await self._days(session)

    async def sweep(self) -> None:
        """Create months ahead, delete overdue logs, archive and drop whole months, delete expired digests. Safe to repeat."""
        now = self._clock.now()
        await self._partitions.ensure(months_between(Month.of(now), Month.of(now).after(_MONTHS_AHEAD)))
        kept = await self.days()
        if self._archives is None:
            for feature_key, days in kept.items():
                if days < self._default_days:
                    await self._delete_overdue(feature_key, now - timedelta(days=days))
        else:
            await self._archive_overdue(self._archives, kept, now)
        while await self._database.run(lambda s: self._repository.forget_keys(s, now, limit=_CHUNK)) == _CHUNK:
            continue

    async def archive(self, month: Month) -> Manifest:
        """Archive and drop one month now; if it is archived already, later logs are archived as a part of it."""
        archives = self._archive_store()
        known = archives.manifest(month)
        if known is None or known.restored_until is not None:
            return await archives.retire(month)
        late = await archives.move(month, "late", _WITHIN, since=month.start, until=month.end)
        async with self._database.transaction() as session:
            await self._partitions.drop_empty(session, month)
        return late or known

    async def restore(self, month: Month) -> Sequence[Manifest]:
        """Restore all archives of a month; the rows stay for 30 days.

        Raises:
            NotFoundError: there are none.
        """
        archives, until = self._archive_store(), self._clock.now() + _RESTORED_FOR
        found = [manifest for manifest in archives.manifests() if manifest.month == str(month)]
        whole = [] if found and found[0].part else [await archives.restore(month, until=until)]
        return [*whole, *await archives.restore_parts(month, until=until)]

    async def _archive_overdue(self, archives: Archives, kept: Mapping[str, int], now: datetime) -> None:
        """Archive the overdue days of features, then the months in which no feature's retention is left."""
        archives.clean()
        longest = max([self._default_days, *kept.values()])
        for days in {days for days in kept.values() if days < longest}:
            features = [feature_key for feature_key, other in kept.items() if other == days]
            await self._archive_days(archives, now, days, {"features": features, "named": True})
        if self._default_days < longest:
            await self._archive_days(archives, now, self._default_days, {"features": list(kept), "named": False})
        await self._retire(archives, now - timedelta(days=longest), now)

    async def _archive_days(self, archives: Archives, now: datetime, days: int, routes: Mapping[str, Any]) -> None:
        """Archive the overdue days of some features: those with these names, or all others."""
        until = datetime.combine((now - timedelta(days=days)).astimezone(UTC), time(), UTC)
        async with self._database.transaction(read_only=True) as session:
            found = await self._database.rows(session, RETENTION_OVERDUE_DAYS, until=until, **routes)
        for row in found:
            since = datetime.combine(row.day, time(), UTC)
            month, part = Month.of(since), f"d{since.day:02d}"
            if not _is_back(archives.manifest(month, part), now):
                day = {"since": since, "until": since + timedelta(days=1)}
                await archives.move(month, part, f"{_WITHIN} and {RETENTION_ROUTED}", **day, **routes)

    async def _retire(self, archives: Archives, until: datetime, now: datetime) -> None:
        async with self._database.transaction(read_only=True) as session:
            months = {*await self._partitions.attached(session), *await self._partitions.detached(session)}
        back = {manifest.month for manifest in archives.manifests() if _is_back(manifest, now)}
        for month in sorted(month for month in months if month.end <= until and str(month) not in back):
            await self.archive(month)

    async def _delete_overdue(self, feature_key: str, until: datetime) -> None:
        while True:
            async with self._database.transaction() as session:
                gone = len(
                    await self._database.rows(
                        session, RETENTION_DELETE_OVERDUE, feature_key=feature_key, until=until, limit=_CHUNK
                    )
                )
            if gone:
                log.info("feature_logs_overdue_deleted", feature_key=feature_key, logs=gone)
            if gone < _CHUNK:
                return

    async def _days(self, session: AsyncSession) -> Mapping[str, int]:
        rows = await self._database.rows(session, RETENTION_DAYS)
        return {row.feature_key: row.days for row in rows}

    def _archive_store(self) -> Archives:
        if self._archives is None:
            raise ConfigurationError(
                "FAREGATE_LOG_ARCHIVE_DIR is not set — where months of feature logs are archived, "
                "e.g. FAREGATE_LOG_ARCHIVE_DIR=/var/lib/faregate/archive"
            )
        return self._archives


def _is_back(manifest: Manifest | None, now: datetime) -> bool:
    """Return whether an archive is restored and its rows must stay."""
    return manifest is not None and manifest.restored_until is not None and manifest.restored_until > now
