"""Archiving and restoring of months of a partitioned table.

A month is archived as compressed CSV with a manifest of its digests. `retire` detaches a month, writes it, reads it back from
the disk, compares, and only then drops it; `move` does the same with rows whose retention ends before that of their month. Each
step can be repeated after a crash; at no time is the only copy of a row an unverified one.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.archive.files import ArchiveBusyError, ArchiveError, Manifest
from faregate.core.archive.store import ArchiveStore
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, Partitions
from faregate.core.db.versioned_cache import raise_version
from faregate.core.errors import DatabaseBusyError, InvalidError, NotFoundError
from faregate.core.logging import get_logger

__all__ = ["ArchiveBusyError", "ArchiveError", "Archives", "Manifest"]

log = get_logger(__name__)

_WITHOUT_TIME_OUTS = """
select set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
  set_config('lock_timeout', '60s', true)
"""

_HOLD = "select pg_advisory_xact_lock(hashtextextended('archives of ' || cast(:name as text), 0))"

_SHORT_LOCK_TIME_OUT = "select set_config('lock_timeout', '500ms', true)"
_ATTEMPTS = 6

_MOVE = """
with moved as (delete from faregate.{table} r where {condition} returning r.*)
insert into {staged} select * from moved on conflict do nothing returning 1
"""


class Archives:
    """The archives of one partitioned table, in one directory."""

    def __init__(self, database: Database, partitions: Partitions, directory: Path, clock: IClock) -> None:
        self.directory = directory
        self._database = database
        self._partitions = partitions
        self._store = ArchiveStore(database, partitions, directory, clock)

    def manifests(self) -> list[Manifest]:
        """Return the manifests of all archives, oldest month first, a whole month before its parts."""
        return self._store.manifests()

    def manifest(self, month: Month, part: str = "") -> Manifest | None:
        """Return the manifest of one month or of a part of it, if it was archived."""
        return self._store.manifest(month, part)

    def clean(self, *, older_than: timedelta = timedelta(days=1)) -> Sequence[Path]:
        """Remove unfinished files that a crash left; those younger than `older_than` may be another process's work."""
        return self._store.clean(older_than=older_than)

    def check(self, manifest: Manifest) -> None:
        """Read an archive back from the disk and raise `ArchiveError` if it differs from its manifest."""
        self._store.check(manifest)

    async def retire(self, month: Month) -> Manifest:
        """Archive a month and drop it once the archive has been read back and found equal. Safe to repeat.

        Raises:
            ArchiveError: what is on the disk differs from what the database sent; nothing was dropped.
            ArchiveBusyError: the month is read continuously; nothing was changed.
        """
        async with self._locked():
            await self._detach(month)
            manifest = await self._store.write(f"faregate.{self._partitions.name(month)}", month)
            self.check(manifest)
            async with self._database.transaction() as session:
                await self._partitions.drop(session, month)
        log.info("month_archived", table=manifest.table, month=manifest.month, rows=manifest.rows, bytes=manifest.bytes)
        return manifest

    async def _detach(self, month: Month) -> None:
        """Detach a month. Readers of the table queue behind the attempt, so each attempt is short; there are several."""

        async def detach(session: AsyncSession) -> None:
            await self._database.rows(session, _SHORT_LOCK_TIME_OUT)
            if month in await self._partitions.attached(session):
                await self._partitions.detach(session, month)
                await self._note_change(session)

        try:
            await self._database.run(detach, attempts=_ATTEMPTS)
        except DatabaseBusyError as error:
            raise ArchiveBusyError(
                f"{self._partitions.table} is being read continuously, so that {month} cannot be detached; nothing was "
                "changed. Try again when long queries and exports have ended"
            ) from error

    async def move(self, month: Month, part: str, condition: str, **parameters: Any) -> Manifest | None:
        """Move the rows of a month that meet a condition (on `r`) into a partial archive; return None if there are none.

        They are added to the rows already in that archive, unless it was restored: then the table had all of them. The table needs
        a primary key. Safe to repeat.

        Raises:
            ArchiveError: what is on the disk differs from what the database sent; nothing was removed.
        """
        async with self._locked():
            known = self.manifest(month, part)
            joined = known if known is not None and known.restored_until is None else None
            async with self._store.staged(month, joined) as (session, staged):
                sql = _MOVE.format(table=self._partitions.table, condition=condition, staged=staged)
                if not await self._database.rows(session, sql, **parameters):
                    return None
                manifest = await self._store.write(staged, month, part, driver=await self._database.driver(session))
                self.check(manifest)
        log.info("rows_archived", table=manifest.table, month=manifest.month, part=part, rows=manifest.rows)
        return manifest

    async def restore(self, month: Month, *, until: datetime) -> Manifest:
        """Load an archived month back into its table; until `until` it is not retired again.

        Raises:
            NotFoundError: it is not archived.
            ArchiveError: the archive is damaged; nothing was loaded.
            InvalidError: the table holds rows of this month.
        """
        self._verified(month)
        await self._partitions.ensure([month])
        name = self._partitions.name(month)
        async with self._locked():
            manifest = self._verified(month)
            async with self._database.transaction() as session:
                if await self._database.rows(session, f"select 1 from faregate.{name} limit 1"):  # noqa: S608
                    raise InvalidError(
                        f"{month} cannot be restored: the table {name} holds rows already, so the month was restored before "
                        "or never archived. Nothing was changed. To load the archive again, first archive the month",
                        param="month",
                    )
                await self._store.load(session, name, manifest)
                await self._note_change(session)
            return self._store.note_restored(manifest, until)

    async def restore_parts(self, month: Month, *, until: datetime) -> list[Manifest]:
        """Load the parts of a month back, skipping rows that exist; until `until` they are not moved again."""
        await self._partitions.ensure([month])
        sql = f"insert into faregate.{self._partitions.table} select * from {{}} on conflict do nothing"  # noqa: S608
        restored: list[Manifest] = []
        async with self._locked():
            for manifest in self.manifests():
                if manifest.part and manifest.month == str(month):
                    async with self._store.staged(month, manifest) as (session, staged):
                        await self._database.rows(session, sql.format(staged))
                    restored.append(self._store.note_restored(manifest, until))
        return restored

    async def hold(self, session: AsyncSession) -> None:
        """Prevent archiving and restoring of rows until the caller's transaction ends.

        Required for changes to rows wherever they are stored: a row that moves in the meantime would be missed.
        """
        await self._database.rows(session, _WITHOUT_TIME_OUTS)
        await self._database.rows(session, _HOLD, name=f"{self._database.sql.schema}.{self._partitions.table}")

    async def amend(self, month: Month, statement: str, *, part: str = "", **parameters: Any) -> int:
        """Change an archive: run `statement` on its rows (as `{rows}`), and replace the archive if any changed; return how many.

        The statement must return a row for each row it changed.
        """
        manifest = self.manifest(month, part)
        if manifest is None:
            return 0
        async with self._store.staged(month, manifest) as (session, staged):
            changed = len(await self._database.rows(session, statement.format(rows=staged), **parameters))
            if changed:
                driver = await self._database.driver(session)
                await self._store.write(staged, month, part, driver=driver, restored_until=manifest.restored_until)
        return changed

    async def amend_all(self, statement: str, **parameters: Any) -> int:
        """Run `amend` on all archives, and on the months that were detached and not dropped yet.

        The caller holds the archives (`hold`).
        """
        async with self._database.transaction() as session:
            changed = len(await self._on_detached(session, statement, parameters))
        for manifest in self.manifests():
            changed += await self.amend(Month.parse(manifest.month), statement, part=manifest.part, **parameters)
        return changed

    async def select_all(self, query: str, **parameters: Any) -> AsyncIterator[Any]:
        """Run `query` (on `{rows}`) over every row that the table does not show: archived, or in a detached month."""
        async with self._database.transaction(read_only=True) as session:
            detached = {str(month) for month in await self._partitions.detached(session)}
            found = await self._on_detached(session, query, parameters)
        for row in found:
            yield row
        for manifest in self.manifests():
            if manifest.restored_until is None and (manifest.part or manifest.month not in detached):
                async with self._store.staged(Month.parse(manifest.month), manifest) as (session, staged):
                    found = list(await self._database.rows(session, query.format(rows=staged), **parameters))
                for row in found:
                    yield row

    async def _on_detached(self, session: AsyncSession, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Run a statement on each month that was detached and waits to be archived and dropped."""
        await self._database.rows(session, "set local statement_timeout = 0")
        names = [self._partitions.name(month) for month in await self._partitions.detached(session)]
        statements = [sql.format(rows=f"faregate.{name}") for name in names]
        return [row for text in statements for row in await self._database.rows(session, text, **parameters)]

    @asynccontextmanager
    async def _locked(self) -> AsyncGenerator[None]:
        """Lock the archives while rows move between them and the table."""
        async with self._database.transaction() as session:
            await self.hold(session)
            yield

    async def _note_change(self, session: AsyncSession) -> None:
        await raise_version(self._database, session, f"archives of {self._partitions.table}")

    def _verified(self, month: Month) -> Manifest:
        manifest = self.manifest(month)
        if manifest is None:
            raise NotFoundError(f"{month} of {self._partitions.table} is not archived in {self.directory}")
        self.check(manifest)
        return manifest
