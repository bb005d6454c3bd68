"""Archives: a month of a table as compressed CSV beside a manifest that proves it, and the way back.

`retire` takes a month off its table, writes it, reads it back from the disk, compares, and only then drops it. Each step
can be repeated after a crash; at no moment is the only copy of a row an unverified one.
"""

import csv
import gzip
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from faregate.core import exact_json
from faregate.core.clock import IClock
from faregate.core.database import Database
from faregate.core.errors import FaregateError, InvalidError, NotFoundError
from faregate.core.logging import get_logger
from faregate.core.partitions import Month, Partitions

__all__ = ["ArchiveError", "Archives", "Manifest"]

log = get_logger(__name__)

_CHUNK_BYTES = 1 << 20


class ArchiveError(FaregateError):
    """An archive is not what its manifest says; the month it was made of was not dropped."""

    code = "archive_damaged"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one archive holds.

    Attributes:
        sha256: of the compressed file; `content_sha256`: of the CSV in it, as PostgreSQL sent it.
        restored_until: the month is back in its table, and is left alone until then.
    """

    table: str
    month: str
    columns: Sequence[str]
    rows: int
    bytes: int
    sha256: str
    content_sha256: str
    written_at: datetime
    restored_until: datetime | None = None


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
        return [_manifest(path) for path in files]

    def manifest(self, month: Month) -> Manifest | None:
        """Return the manifest of one month, if it was archived."""
        path = self._path(month, "json")
        return _manifest(path) if path.exists() else None

    def clean(self, *, older_than: timedelta = timedelta(days=1)) -> Sequence[Path]:
        """Remove unfinished files that a crash left; those younger than `older_than` may be another process's work."""
        limit = (self._clock.now() - older_than).timestamp()
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
        manifest = self.manifest(month)
        if manifest is None:
            raise NotFoundError(f"{month} of {self._partitions.table} is not archived in {self.directory}")
        self.check(manifest)
        await self._partitions.ensure([month])
        name = self._partitions.name(month)
        async with self._database.transaction() as session:
            if await self._database.rows(session, f"select 1 from faregate.{name} limit 1"):  # noqa: S608
                raise InvalidError(f"{name} holds rows already; retire it first", param="month")
            await self._load(session, name, manifest)
        restored = replace(manifest, restored_until=until)
        self._put(month, restored)
        return restored

    async def amend(self, month: Month, statement: str, **parameters: Any) -> int:
        """Change an archive: run `statement` on its rows (as `{rows}`), and replace it if any changed; return how many.

        The statement must return a row for each row it changed.
        """
        manifest = self.manifest(month)
        if manifest is None:
            return 0
        self.check(manifest)
        name = f"archive_{self._partitions.name(month)}"
        async with self._database.transaction() as session:
            like = f"(like faregate.{self._partitions.table} including defaults)"
            await self._database.rows(session, f"create temporary table {name} {like} on commit drop")
            await self._load(session, name, manifest, schema=None)
            changed = len(await self._database.rows(session, statement.format(rows=name), **parameters))
            if changed:
                written = await self._write(name, month, driver=await self._database.driver(session), schema=None)
                self._put(month, replace(written, restored_until=manifest.restored_until))
        return changed

    def check(self, manifest: Manifest) -> None:
        """Read an archive back from the disk and raise `ArchiveError` unless it is what its manifest says."""
        path = self._path(Month.parse(manifest.month), "csv.gz")
        if not path.exists() or _digest(path) != manifest.sha256:
            raise ArchiveError(f"{path} is missing or not what its manifest says; bring back a copy of it")
        rows, digest = _content(path)
        if (rows, digest) != (manifest.rows, manifest.content_sha256):
            raise ArchiveError(f"{path} holds {rows} rows instead of {manifest.rows}, or others; write it again")

    async def _write(
        self, table: str, month: Month, *, driver: Any = None, schema: str | None = "faregate"
    ) -> Manifest:
        """Write a table as the archive of `month`; file and manifest appear complete or not at all."""
        self.directory.mkdir(parents=True, exist_ok=True)
        target, unfinished = self._path(month, "csv.gz"), self._path(month, "csv.gz.new")
        connection = driver or await self._database.connect()
        source = self._database.sql.text(f"{schema}.{table}") if schema else table
        await connection.execute("set statement_timeout = 0" if driver is None else "set local statement_timeout = 0")
        try:
            columns, rows, content = await _copy_out(connection, source, unfinished)
        finally:
            if driver is None:
                await connection.close()
        manifest = Manifest(
            table=self._partitions.table,
            month=str(month),
            columns=columns,
            rows=rows,
            bytes=unfinished.stat().st_size,
            sha256=_digest(unfinished),
            content_sha256=content,
            written_at=self._clock.now(),
        )
        unfinished.replace(target)
        self._put(month, manifest)
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
        if _count(done) != manifest.rows:
            raise ArchiveError(f"{_count(done)} rows of {manifest.month} were loaded instead of {manifest.rows}")

    def _put(self, month: Month, manifest: Manifest) -> None:
        unfinished = self._path(month, "json.new")
        with unfinished.open("wb") as file:
            file.write(exact_json.dumps({**asdict(manifest), "columns": list(manifest.columns)}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path(month, "json"))

    def _path(self, month: Month, ending: str) -> Path:
        return self.directory / f"{self._partitions.name(month)}.{ending}"


async def _copy_out(connection: Any, source: str, path: Path) -> tuple[list[str], int, str]:
    """Copy a table into a compressed file that survives a power cut; return columns, rows and digest of the content."""
    driver = cast("asyncpg.Connection[asyncpg.Record]", connection)
    digest = sha256()
    statement = await driver.prepare(f"select * from {source} limit 0")  # noqa: S608
    columns = [attribute.name for attribute in statement.get_attributes()]
    with path.open("wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed:

            async def take(data: bytes) -> None:
                digest.update(data)
                packed.write(data)

            done = await driver.copy_from_query(
                f"select * from {source}",  # noqa: S608
                output=take,
                format="csv",
                header=True,
                timeout=None,
            )
        raw.flush()
        os.fsync(raw.fileno())
    return columns, _count(done), digest.hexdigest()


def _content(path: Path) -> tuple[int, str]:
    """Return the number of rows in an archive, and the digest of its CSV."""
    digest = sha256()
    with gzip.open(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    csv.field_size_limit(1 << 30)
    with gzip.open(path) as file, TextIOWrapper(cast("Any", file), encoding="utf-8", newline="") as text:
        rows = sum(1 for _ in csv.reader(text)) - 1
    return rows, digest.hexdigest()


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _count(command: str) -> int:
    return int(command.rpartition(" ")[2])


def _manifest(path: Path) -> Manifest:
    content: dict[str, Any] = exact_json.loads(path.read_bytes())
    for name in ("written_at", "restored_until"):
        content[name] = datetime.fromisoformat(content[name]) if content[name] else None
    return Manifest(**content)
