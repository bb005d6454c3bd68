"""Archives: a month of a table as compressed CSV beside a manifest that proves it, and the way back.

`retire` takes a month off its table, writes it, reads it back from the disk, compares, and only then drops it. Each step
can be repeated after a crash; at no moment is the only copy of a row an unverified one.
"""

import gzip
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.archive_files import (
    ArchiveError,
    Manifest,
    content_of,
    copied_rows,
    copy_out,
    digest_of,
    exchange,
    read_manifest,
    write_manifest,
)
from faregate.core.clock import IClock
from faregate.core.database import Database
from faregate.core.errors import InvalidError, NotFoundError
from faregate.core.logging import get_logger
from faregate.core.partitions import Month, Partitions

__all__ = ["ArchiveError", "Archives", "Manifest"]

log = get_logger(__name__)

_TAKE_TIME = """
select set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
  set_config('lock_timeout', '60s', true)
"""

_HOLD = "select pg_advisory_xact_lock(hashtextextended('archives of ' || cast(:name as text), 0))"


class Archives:
    """The archives of one partitioned table, in one directory."""

    def __init__(self, database: Database, partitions: Partitions, directory: Path, clock: IClock) -> None:
        self.directory = directory
        self._database = database
        self._partitions = partitions
        self._clock = clock

    def manifests(self) -> list[Manifest]:
        """Return what is archived, oldest month first."""
        files = sorted(self.directory.glob(f"{self._partitions.table}_y????m??.json"))
        return [read_manifest(path, path.with_suffix(".csv.gz")) for path in files]

    def manifest(self, month: Month) -> Manifest | None:
        """Return the manifest of one month, if it was archived."""
        path = self._path(month, "json")
        return read_manifest(path, self._path(month, "csv.gz")) if path.exists() else None

    def clean(self, *, older_than: timedelta = timedelta(days=1)) -> Sequence[Path]:
        """Remove unfinished files that a crash left; those younger than `older_than` may be another process's work."""
        limit = (self._clock.now() - older_than).timestamp()
        self.manifests()
        unfinished = [
            path
            for ending in ("csv.gz.new", "json.new")
            for path in sorted(self.directory.glob(f"{self._partitions.table}_y????m??.{ending}"))
        ]
        old = [path for path in unfinished if path.stat().st_mtime < limit]
        for path in old:
            path.unlink(missing_ok=True)
        return old

    async def retire(self, month: Month) -> Manifest:
        """Archive a month and drop it once the archive has been read back and found equal. Safe to repeat.

        Raises:
            ArchiveError: what is on the disk differs from what the database sent; nothing was dropped.
        """
        async with self._alone():
            async with self._database.transaction() as session:
                if month in await self._partitions.attached(session):
                    await self._partitions.detach(session, month)
            manifest = await self._write(self._partitions.name(month), month)
            self.check(manifest)
            async with self._database.transaction() as session:
                await self._partitions.drop(session, month)
        log.info("month_archived", table=manifest.table, month=manifest.month, rows=manifest.rows, bytes=manifest.bytes)
        return manifest

    async def restore(self, month: Month, *, until: datetime) -> Manifest:
        """Load an archived month back into its table; `until` keeps it from being retired again.

        Raises:
            NotFoundError: it is not archived.
            ArchiveError: the archive is damaged; nothing was loaded.
            InvalidError: the table holds rows of this month.
        """
        self._proven(month)
        await self._partitions.ensure([month])
        name = self._partitions.name(month)
        async with self._alone():
            manifest = self._proven(month)
            async with self._database.transaction() as session:
                if await self._database.rows(session, f"select 1 from faregate.{name} limit 1"):  # noqa: S608
                    raise InvalidError(f"{name} holds rows already; retire it first", param="month")
                await self._load(session, name, manifest)
            restored = replace(manifest, restored_until=until)
            write_manifest(self._path(month, "json"), restored)
        return restored

    async def hold(self, session: AsyncSession) -> None:
        """Keep months from being archived or restored until the caller's transaction ends.

        Whoever changes rows wherever they are needs this: a row that moves meanwhile would be missed.
        """
        await self._database.rows(session, _TAKE_TIME)
        await self._database.rows(session, _HOLD, name=f"{self._database.sql.schema}.{self._partitions.table}")

    async def amend(self, month: Month, statement: str, **parameters: Any) -> int:
        """Change an archive: run `statement` on its rows (as `{rows}`), and replace it if any changed; return how many.

        The statement must return a row for each row it changed.
        """
        manifest = self.manifest(month)
        if manifest is None:
            return 0
        async with self._unpacked(month, manifest) as (session, rows):
            changed = len(await self._database.rows(session, statement.format(rows=rows), **parameters))
            if changed:
                await self._write(rows, month, driver=await self._database.driver(session), known=manifest)
        return changed

    async def amend_all(self, statement: str, **parameters: Any) -> int:
        """`amend` all archives, and the months that were taken off their table and not dropped yet.

        The caller holds the archives (`hold`).
        """
        async with self._database.transaction() as session:
            changed = len(await self._on_detached(session, statement, parameters))
        for manifest in self.manifests():
            changed += await self.amend(Month.parse(manifest.month), statement, **parameters)
        return changed

    async def select_all(self, query: str, **parameters: Any) -> AsyncIterator[Any]:
        """Run `query` (on `{rows}`) over every month that the table does not show: archived, or taken off only."""
        async with self._database.transaction(read_only=True) as session:
            detached = await self._partitions.detached(session)
            found = await self._on_detached(session, query, parameters)
        for row in found:
            yield row
        for manifest in self.manifests():
            month = Month.parse(manifest.month)
            if manifest.restored_until is None and month not in detached:
                async with self._unpacked(month, manifest) as (session, name):
                    found = list(await self._database.rows(session, query.format(rows=name), **parameters))
                for row in found:
                    yield row

    async def _on_detached(self, session: AsyncSession, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Run a statement on each month that was taken off the table and waits to be archived and dropped."""
        await self._database.rows(session, "set local statement_timeout = 0")
        names = [self._partitions.name(month) for month in await self._partitions.detached(session)]
        statements = [sql.format(rows=f"faregate.{name}") for name in names]
        return [row for text in statements for row in await self._database.rows(session, text, **parameters)]

    @asynccontextmanager
    async def _unpacked(self, month: Month, manifest: Manifest) -> AsyncGenerator[tuple[AsyncSession, str]]:
        """Have the rows of an archive in a temporary table, in a transaction."""
        self.check(manifest)
        name = f"archive_{self._partitions.name(month)}"
        async with self._database.transaction() as session:
            like = f"(like faregate.{self._partitions.table} including defaults)"
            await self._database.rows(session, f"create temporary table {name} {like}")
            await self._load(session, name, manifest, schema=None)
            yield session, name
            await self._database.rows(session, f"drop table {name}")

    def check(self, manifest: Manifest) -> None:
        """Read an archive back from the disk and raise `ArchiveError` unless it is what its manifest says."""
        path = self._path(Month.parse(manifest.month), "csv.gz")
        if not path.exists() or digest_of(path) != manifest.sha256:
            raise ArchiveError(f"{path} is missing or not what its manifest says; bring back a copy of it")
        rows, digest = content_of(path)
        if (rows, digest) != (manifest.rows, manifest.content_sha256):
            raise ArchiveError(f"{path} holds {rows} rows instead of {manifest.rows}, or others; write it again")

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None]:
        """Hold the archives while rows move between them and the table."""
        async with self._database.transaction() as session:
            await self.hold(session)
            yield

    def _proven(self, month: Month) -> Manifest:
        manifest = self.manifest(month)
        if manifest is None:
            raise NotFoundError(f"{month} of {self._partitions.table} is not archived in {self.directory}")
        self.check(manifest)
        return manifest

    async def _write(self, table: str, month: Month, *, driver: Any = None, known: Manifest | None = None) -> Manifest:
        """Write a table as the archive of `month`: a temporary one of `driver`, in place of the archive that is `known`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        target, unfinished = self._path(month, "csv.gz"), self._path(month, "csv.gz.new")
        connection = driver or await self._database.connect()
        source = self._database.sql.text(f"faregate.{table}") if driver is None else table
        await connection.execute("set statement_timeout = 0" if driver is None else "set local statement_timeout = 0")
        try:
            columns, rows, content = await copy_out(connection, source, unfinished)
        finally:
            if driver is None:
                await connection.close()
        manifest = Manifest(
            table=self._partitions.table,
            month=str(month),
            columns=columns,
            rows=rows,
            bytes=unfinished.stat().st_size,
            sha256=digest_of(unfinished),
            content_sha256=content,
            written_at=self._clock.now(),
            restored_until=known.restored_until if known else None,
        )
        exchange(self._path(month, "json"), manifest, unfinished, target)
        return manifest

    async def _load(
        self, session: AsyncSession, table: str, manifest: Manifest, *, schema: str | None = "faregate"
    ) -> None:
        await self._database.rows(session, "set local statement_timeout = 0")
        driver = await self._database.driver(session)
        with closing(gzip.open(self._path(Month.parse(manifest.month), "csv.gz"))) as file:
            done = await driver.copy_to_table(
                table,
                schema_name=self._database.sql.schema if schema else None,
                columns=list(manifest.columns),
                source=cast("BinaryIO", file),
                format="csv",
                header=True,
                timeout=None,
            )
        if copied_rows(done) != manifest.rows:
            raise ArchiveError(f"{copied_rows(done)} rows of {manifest.month} were loaded instead of {manifest.rows}")

    def _path(self, month: Month, ending: str) -> Path:
        return self.directory / f"{self._partitions.name(month)}.{ending}"
