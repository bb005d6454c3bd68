"""Folder of the columnar copy's files.

A file is written under another name, forced to the disk and renamed: under its own name it is whole. Whether it counts is
decided by the database, which names the files of each snapshot.
"""

import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from faregate.core.runtime.private_files import make_private, make_private_directory

__all__ = ["StoreFolder"]

_SUFFIX = ".parquet"
_UNFINISHED = ".part"
_ROWS = ".csv"


class StoreFolder:
    """The files of one store: a folder below `FAREGATE_COLUMNAR_DIR`, which only its owner may enter."""

    def __init__(self, directory: Path, store: UUID) -> None:
        self.path = directory / store.hex

    def make(self) -> None:
        """Create the folder if it is missing."""
        make_private_directory(self.path)

    def file(self, file_id: UUID) -> Path:
        """Return the path of a file."""
        return self.path / f"{file_id.hex}{_SUFFIX}"

    def rows(self, file_id: UUID) -> Path:
        """Return the path of the rows that a file is made from."""
        return self.path / f".{file_id.hex}{_ROWS}"

    def unfinished(self, file_id: UUID) -> Path:
        """Return the path under which a file is written."""
        return self.path / f".{file_id.hex}{_SUFFIX}{_UNFINISHED}"

    @property
    def spill(self) -> Path:
        """The folder for what does not fit into the memory while files are written."""
        return self.path / ".spill"

    def publish(self, file_id: UUID) -> int:
        """Give a written file its name once it is on the disk, and return its size."""
        unfinished, path = self.unfinished(file_id), self.file(file_id)
        make_private(unfinished)
        _force(unfinished)
        unfinished.replace(path)
        _force(self.path)
        return path.stat().st_size

    def present(self, file_ids: Sequence[UUID], sizes: Sequence[int]) -> bool:
        """Tell whether all files are here, with these sizes."""
        return all(_size(self.file(file_id)) == size for file_id, size in zip(file_ids, sizes, strict=True))

    def remove(self, file_ids: Iterable[UUID]) -> None:
        """Remove files. Safe to repeat."""
        for file_id in file_ids:
            self.file(file_id).unlink(missing_ok=True)

    def clean(self, known: Collection[UUID]) -> Sequence[str]:
        """Remove the files that a killed run has left, and return their names; only the one run of the store may do this."""
        names = {self.file(file_id).name for file_id in known}
        left = [path for path in self.path.iterdir() if path.name not in names] if self.path.is_dir() else []
        for path in left:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return [path.name for path in left]


def _force(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _size(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_size
    return None
