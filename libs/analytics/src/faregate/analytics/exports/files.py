"""Formats that need a file before the first byte can leave: written beside, then sent, then gone."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Protocol

from faregate.analytics.exports.interfaces import Rows

__all__ = ["FileWriter", "IFileFormat"]

_CHUNK_BYTES = 256 * 1024


class IFileFormat(Protocol):
    """Writes a file of one format at `path`; not on the event loop's thread."""

    async def fill(self, path: Path, rows: Rows) -> None: ...


class FileWriter:
    """An `IExportWriter` by way of a temporary directory, which is gone when the iterator ends or is closed."""

    def __init__(self, file_format: IFileFormat) -> None:
        self._format = file_format

    async def write(self, rows: Rows) -> AsyncGenerator[bytes]:
        with tempfile.TemporaryDirectory(prefix="faregate-export-") as directory:
            path = Path(directory) / "export"
            await self._format.fill(path, rows)
            with path.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                    yield chunk
