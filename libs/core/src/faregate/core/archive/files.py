"""Archive files: one compressed CSV per month, and its manifest.

Files are read and written whole; the manifest holds the digests that verify them.
"""

import csv
import gzip
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from io import TextIOWrapper
from pathlib import Path
from typing import Any, cast

import asyncpg

from faregate.core.errors import FaregateError
from faregate.core.runtime.private_files import private_file
from faregate.wire import exact_json

__all__ = [
    "ArchiveBusyError",
    "ArchiveError",
    "Manifest",
    "content_of",
    "copied_rows",
    "copy_out",
    "digest_of",
    "exchange",
    "read_manifest",
    "write_manifest",
]

_CHUNK_BYTES = 1 << 20


class ArchiveError(FaregateError):
    """An archive differs from its manifest; the month it was made of was not dropped."""

    code = "archive_damaged"


class ArchiveBusyError(FaregateError):
    """A month is read continuously, so that it cannot be detached from its table; nothing was changed."""

    code = "unavailable"
    retryable = True


@dataclass(frozen=True, slots=True)
class Manifest:
    """Description of one archive.

    Attributes:
        sha256: of the compressed file; `content_sha256`: of the CSV in it, as PostgreSQL sent it.
        restored_until: the rows are back in their table, and are not archived again until then.
        part: name of the part of the month that it holds; empty for the whole month.
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
    part: str = ""


async def copy_out(connection: Any, source: str, path: Path) -> tuple[list[str], int, str]:
    """Copy a table into a compressed file that survives a power failure; return columns, rows and digest of the content."""
    driver = cast("asyncpg.Connection[asyncpg.Record]", connection)
    digest = sha256()
    statement = await driver.prepare(f"select * from {source} limit 0")  # noqa: S608
    columns = [attribute.name for attribute in statement.get_attributes()]
    with private_file(path) as raw:
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
    return columns, copied_rows(done), digest.hexdigest()


def content_of(path: Path) -> tuple[int, str]:
    """Return the number of rows in an archive, and the digest of its CSV."""
    digest = sha256()
    with gzip.open(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    csv.field_size_limit(1 << 30)
    with gzip.open(path) as file, TextIOWrapper(cast("Any", file), encoding="utf-8", newline="") as text:
        rows = sum(1 for _ in csv.reader(text)) - 1
    return rows, digest.hexdigest()


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def copied_rows(command: str) -> int:
    """Return how many rows a `COPY` reports."""
    return int(command.rpartition(" ")[2])


def read_manifest(path: Path, content: Path) -> Manifest:
    """Return the manifest of `content`; if a crash interrupted `exchange` for it, that is completed first."""
    manifest, waiting = _read(path), _waiting(path)
    if not waiting.exists() or not content.exists() or digest_of(content) == manifest.sha256:
        return manifest
    with suppress(FileNotFoundError):
        waiting.replace(path)
    return _read(path)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest; it appears complete or not at all, also after a power failure."""
    _write(_waiting(path), manifest)
    _waiting(path).replace(path)


def exchange(path: Path, manifest: Manifest, unfinished: Path, content: Path) -> None:
    """Replace an archive and its manifest by new ones; if a crash interrupts this, `read_manifest` completes it."""
    _write(_waiting(path), manifest)
    unfinished.replace(content)
    with suppress(FileNotFoundError):
        _waiting(path).replace(path)


def _waiting(path: Path) -> Path:
    return path.with_suffix(".json.new")


def _read(path: Path) -> Manifest:
    content: dict[str, Any] = exact_json.loads(path.read_bytes())
    for name in ("written_at", "restored_until"):
        content[name] = datetime.fromisoformat(content[name]) if content[name] else None
    return Manifest(**content)


def _write(path: Path, manifest: Manifest) -> None:
    with private_file(path) as file:
        file.write(exact_json.dumps({**asdict(manifest), "columns": list(manifest.columns)}) + b"\n")
        file.flush()
        os.fsync(file.fileno())
