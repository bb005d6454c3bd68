"""Archive directory of one table.

Lists, writes, verifies and loads archives, one file at a time. An archive holds a whole month, or a part of one: rows that left
the table before their month did.
"""

import gzip
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core.archive.files import (
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
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month, Partitions
from faregate.core.runtime.private_files import make_private_directory

__all__ = ["ArchiveStore"]


class ArchiveStore:
    """Reads and writes the files; when rows move is decided by `Archives`."""

    def __init__(self, database: Database, partitions: Partitions, directory: Path, clock: IClock) -> None:
        self.directory = directory
        self._database = database
        self._partitions = partitions
        self._clock = clock

    def manifests(self) -> list[Manifest]:
        """Return the manifests of all archives, oldest month first, a whole month before its parts."""
        files = sorted(self.directory.glob(f"{self._partitions.table}_y????m??*.json"))
        return [read_manifest(path, path.with_suffix(".csv.gz")) for path in files]

    def manifest(self, month: Month, part: str = "") -> Manifest | None:
        """Return the manifest of a month or of a part of it, if it was archived."""
        path = self._path(month, part, "json")
        return read_manifest(path, self._path(month, part, "csv.gz")) if path.exists() else None

    def clean(self, *, older_than: timedelta = timedelta(days=1)) -> Sequence[Path]:
        """Remove unfinished files that a crash left; those younger than `older_than` may be another process's work."""
        limit = (self._clock.now() - older_than).timestamp()
        self.manifests()
        unfinished = [
            path
            for ending in ("csv.gz.new", "json.new")
            for path in sorted(self.directory.glob(f"{self._partitions.table}_y????m??*.{ending}"))
        ]
        old = [path for path in unfinished if path.stat().st_mtime < limit]
        for path in old:
            path.unlink(missing_ok=True)
        return old

    def check(self, manifest: Manifest) -> None:
        """Read an archive back from the disk and raise `ArchiveError` if it differs from its manifest."""
        path = self._path(Month.parse(manifest.month), manifest.part, "csv.gz")
        if not path.exists() or digest_of(path) != manifest.sha256:
            raise ArchiveError(f"{path} is missing or differs from its manifest; restore it from a copy")
        rows, digest = content_of(path)
        if (rows, digest) != (manifest.rows, manifest.content_sha256):
            raise ArchiveError(
                f"{path} holds {rows} rows instead of {manifest.rows}, or different rows; write it again"
            )

    def note_restored(self, manifest: Manifest, until: datetime) -> Manifest:
        """Record that the rows of an archive are back in the table until `until`."""
        restored = replace(manifest, restored_until=until)
        write_manifest(self._path(Month.parse(manifest.month), manifest.part, "json"), restored)
        return restored

    async def write(
        self, source: str, month: Month, part: str = "", *, driver: Any = None, restored_until: datetime | None = None
    ) -> Manifest:
        """Write a table as an archive, replacing an existing one; pass `driver` if the table is a temporary one of that
        connection.
        """
        make_private_directory(self.directory)
        target, unfinished = self._path(month, part, "csv.gz"), self._path(month, part, "csv.gz.new")
        async with self._database.connection() if driver is None else nullcontext(driver) as connection:
            await connection.execute(
                "set statement_timeout = 0" if driver is None else "set local statement_timeout = 0"
            )
            columns, rows, content = await copy_out(connection, self._database.sql.text(source), unfinished)
        manifest = Manifest(
            table=self._partitions.table,
            month=str(month),
            part=part,
            columns=columns,
            rows=rows,
            bytes=unfinished.stat().st_size,
            sha256=digest_of(unfinished),
            content_sha256=content,
            written_at=self._clock.now(),
            restored_until=restored_until,
        )
        exchange(self._path(month, part, "json"), manifest, unfinished, target)
        return manifest

    async def load(self, session: AsyncSession, table: str, manifest: Manifest, *, temporary: bool = False) -> None:
        """Load an archive into a table, in the caller's transaction."""
        await self._database.rows(session, "set local statement_timeout = 0")
        driver = await self._database.driver(session)
        with closing(gzip.open(self._path(Month.parse(manifest.month), manifest.part, "csv.gz"))) as file:
            done = await driver.copy_to_table(
                table,
                schema_name=None if temporary else self._database.sql.schema,
                columns=list(manifest.columns),
                source=cast("BinaryIO", file),
                format="csv",
                header=True,
                timeout=None,
            )
        if copied_rows(done) != manifest.rows:
            raise ArchiveError(f"{copied_rows(done)} rows of {manifest.month} were loaded instead of {manifest.rows}")

    @asynccontextmanager
    async def staged(self, month: Month, manifest: Manifest | None) -> AsyncGenerator[tuple[AsyncSession, str]]:
        """Create a temporary table with the same columns, filled from an archive if one is given, in a transaction."""
        if manifest is not None:
            self.check(manifest)
        name = f"archive_{self._partitions.name(month)}"
        async with self._database.transaction() as session:
            like = f"(like faregate.{self._partitions.table} including defaults including indexes)"
            await self._database.rows(session, f"create temporary table {name} {like}")
            if manifest is not None:
                await self.load(session, name, manifest, temporary=True)
            yield session, name
            await self._database.rows(session, f"drop table {name}")

    def _path(self, month: Month, part: str, ending: str) -> Path:
        return self.directory / f"{self._partitions.name(month)}{part}.{ending}"
