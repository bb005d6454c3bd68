"""Writer of the columnar copy's files: rows of CSV in, Parquet out."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self
from uuid import UUID, uuid4

from faregate.analytics.columnar.columns import COLUMNS
from faregate.analytics.columnar.duckdb_setup import open_duckdb, quoted
from faregate.analytics.columnar.folder import StoreFolder
from faregate.analytics.columnar.values import CopiedFile, moment_of
from faregate.core.runtime.private_files import private_file

if TYPE_CHECKING:
    from types import TracebackType

    from duckdb import DuckDBPyConnection

__all__ = ["FileWriter", "RowsFile"]

_COMPRESSION = "snappy"
_GROUP_FACTS = 122_880
_ORDER = "order by service, time_us"
"""Groups of rows hold few services, and of each a short time: questions skip the groups that they are not about."""

_TYPES = ", ".join(f"'{column.name}': '{column.type}'" for column in COLUMNS)
_READ = f"""
read_csv({{rows}}, auto_detect = false, header = false, columns = {{{{{_TYPES}}}}}, delim = ',', quote = '"', escape = '"',
  nullstr = '', allow_quoted_nulls = false, new_line = '\\n', strict_mode = true)
"""
_WRITE = f"copy ({{query}}) to {{file}} (format parquet, compression {_COMPRESSION}, row_group_size {_GROUP_FACTS})"
_ABOUT = "select count(*), min(time_us), max(time_us) from read_parquet({file})"


class RowsFile:
    """Rows of CSV that become one file of a month. Bytes that are added end with a whole row."""

    def __init__(self, folder: StoreFolder, month: date) -> None:
        self.file_id: UUID = uuid4()
        self.month = month
        self.path: Path = folder.rows(self.file_id)
        self.size = 0
        self._file: BinaryIO = private_file(self.path, exclusive=True)

    def add(self, rows: bytes) -> None:
        """Append rows."""
        self._file.write(rows)
        self.size += len(rows)

    def close(self) -> None:
        """End the file; it can be read now."""
        self._file.close()


class FileWriter:
    """Writes the files of one run. Blocking: call it in a thread. The memory that DuckDB took is free again at the end."""

    def __init__(self, folder: StoreFolder, *, memory_mb: int, threads: int) -> None:
        self._folder = folder
        self._memory_mb = memory_mb
        self._threads = threads
        self._open: DuckDBPyConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        if self._open is not None:
            self._open.close()

    def write(self, rows: RowsFile) -> CopiedFile:
        """Write the file of closed rows, and remove the rows."""
        query = f"select * from {_READ.format(rows=quoted(rows.path))} {_ORDER}"  # noqa: S608
        written = self._written(query, rows.file_id, rows.month)
        rows.path.unlink()
        return written

    def merge(self, files: Sequence[CopiedFile]) -> CopiedFile:
        """Write one file with the facts of several files of one month."""
        paths = ", ".join(quoted(self._folder.file(file.file_id)) for file in files)
        return self._written(f"select * from read_parquet([{paths}]) {_ORDER}", uuid4(), files[0].month)  # noqa: S608

    def _written(self, query: str, file_id: UUID, month: date) -> CopiedFile:
        connection, unfinished = self._connection, quoted(self._folder.unfinished(file_id))
        connection.execute(_WRITE.format(query=query, file=unfinished))
        ((facts, first, last),) = connection.execute(_ABOUT.format(file=unfinished)).fetchall()
        size = self._folder.publish(file_id)
        return CopiedFile(file_id, month, facts, size, moment_of(first), moment_of(last))

    @property
    def _connection(self) -> "DuckDBPyConnection":
        if self._open is None:
            self._open = open_duckdb(
                self._folder.path, memory_mb=self._memory_mb, threads=self._threads, spill=self._folder.spill
            )
        return self._open
