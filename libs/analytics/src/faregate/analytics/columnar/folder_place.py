"""Folder of Parquet files as the place of the columnar copy."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from uuid import UUID

from faregate.analytics.columnar.duckdb_setup import NEEDS_DUCKDB, duckdb_installed
from faregate.analytics.columnar.folder import StoreFolder
from faregate.analytics.columnar.interfaces import RowsFormat
from faregate.analytics.columnar.values import CopiedFile
from faregate.analytics.columnar.writer import FileWriter, RowsFile

__all__ = ["FolderPlace", "ParquetStore"]


class FolderPlace:
    """The folder that `FAREGATE_COLUMNAR_DIR` names."""

    rows_format: RowsFormat = "csv"
    needs: tuple[str, str] = (NEEDS_DUCKDB, "columnar")

    def __init__(self, directory: Path, *, memory_mb: int = 512, threads: int = 2) -> None:
        self._directory = directory
        self._memory_mb = memory_mb
        self._threads = threads

    @property
    def installed(self) -> bool:
        """Whether DuckDB is installed."""
        return duckdb_installed()

    def name(self, store: UUID) -> str:
        """Return the path of a store."""
        return str(StoreFolder(self._directory, store).path)

    @asynccontextmanager
    async def open(self, store: UUID) -> AsyncGenerator["ParquetStore"]:
        """Open a store; the memory that DuckDB took is free again at the end."""
        folder = StoreFolder(self._directory, store)
        with FileWriter(folder, memory_mb=self._memory_mb, threads=self._threads) as writer:
            yield ParquetStore(folder, writer)


class ParquetStore:
    """The Parquet files of one copy."""

    def __init__(self, folder: StoreFolder, writer: FileWriter) -> None:
        self._folder = folder
        self._writer = writer

    async def make(self) -> None:
        """Create the folder if it is missing."""
        await asyncio.to_thread(self._folder.make)

    def begin(self, month: date) -> "_FolderRows":
        """Begin a file."""
        return _FolderRows(self._folder, self._writer, month)

    async def merge(self, files: Sequence[CopiedFile]) -> CopiedFile:
        """Write one file with the facts of several files of one month."""
        return await asyncio.to_thread(self._writer.merge, files)

    async def remove(self, file_ids: Collection[UUID]) -> None:
        """Remove files. Safe to repeat."""
        await asyncio.to_thread(self._folder.remove, file_ids)

    async def clean(self, known: Collection[UUID]) -> int:
        """Remove what a killed run has left, and return how many files this were."""
        return len(await asyncio.to_thread(self._folder.clean, known))

    async def broken(self, files: Sequence[CopiedFile]) -> set[UUID]:
        """Return the files that are missing, or of another size."""
        here = [await asyncio.to_thread(self._folder.present, [file.file_id], [file.bytes]) for file in files]
        return {file.file_id for file, present in zip(files, here, strict=True) if not present}


class _FolderRows:
    """Rows that become one file of a folder; DuckDB reads them from a file of CSV."""

    def __init__(self, folder: StoreFolder, writer: FileWriter, month: date) -> None:
        self.size = 0
        self._folder = folder
        self._writer = writer
        self._month = month
        self._rows: RowsFile | None = None

    async def add(self, rows: bytes) -> None:
        """Append whole rows; the server waits meanwhile."""
        if self._rows is None:
            self._rows = await asyncio.to_thread(RowsFile, self._folder, self._month)
        self._rows.add(rows)
        self.size = self._rows.size

    async def end(self) -> CopiedFile | None:
        """Write the file; None without rows."""
        if self._rows is None:
            return None
        await asyncio.to_thread(self._rows.close)
        return await asyncio.to_thread(self._writer.write, self._rows) if self.size else None
