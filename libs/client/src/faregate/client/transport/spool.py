"""Durable spool of entries that could not be sent yet.

The spool is a directory of append-only files that survive a crash of the process or of the machine. A line is
`<crc32> <json>`; it is on disk (fsync) before `append` returns. An incomplete last line belongs to an `append` that did
not return, and is skipped. A file is locked by the process that writes it; files of dead processes are taken over.
Entries may be delivered twice after a crash, which is safe: they are idempotent.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from threading import RLock
from typing import IO, Any
from zlib import crc32

from faregate.client.transport.private_files import open_private
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["Entry", "Segment", "SettlementSpool", "SpoolFullError"]

log = logging.getLogger("faregate.client")

_SEGMENT_ENTRIES = 500


class SpoolFullError(Exception):
    """The spool has reached its size limit."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One POST to deliver to the gateway; `debt` is the credits that it ran on under an outage policy."""

    path: str
    body: Any
    feature: str = ""
    debt: Decimal = Decimal(0)

    def line(self) -> bytes:
        """Return the entry as a line of a spool file."""
        text = exact_json.dumps({"path": self.path, "body": self.body, "feature": self.feature, "debt": self.debt})
        return b"%08x %s\n" % (crc32(text), text)


@dataclass(frozen=True)
class Segment:
    """Entries of one spool file, delivered together; `path` is None if they are kept in memory."""

    entries: tuple[Entry, ...]
    path: Path | None = None
    lock: IO[bytes] | None = None


class SettlementSpool:
    """Entries in the order of their writing: on disk in `directory`, or in memory if that is None."""

    def __init__(self, directory: Path | None = None, *, limit_bytes: int = 64 * 1024 * 1024) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._lock = RLock()
        self._active: IO[bytes] | None = None
        self._written: list[Entry] = []
        self._waiting_bytes = 0
        self._segments: list[Segment] = list(self._orphans())

    @property
    def durable(self) -> bool:
        """Whether entries survive this process."""
        return self._directory is not None

    def waiting(self) -> list[Entry]:
        """Return all entries that are not delivered yet."""
        with self._lock:
            return [entry for segment in self._segments for entry in segment.entries] + self._written

    def append(self, entry: Entry) -> None:
        """Store `entry`; with a directory it is on disk when this returns.

        Raises:
            SpoolFullError: `limit_bytes` would be exceeded.
        """
        line = entry.line()
        with self._lock:
            if self._waiting_bytes + len(line) > self._limit_bytes:
                raise SpoolFullError(f"the spool holds {self._waiting_bytes} bytes; its limit is {self._limit_bytes}")
            if self._directory is not None:
                file = self._active or self._new_file(self._directory)
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            self._waiting_bytes += len(line)
            self._written.append(entry)
            if len(self._written) >= _SEGMENT_ENTRIES:
                self._rotate()

    def oldest(self) -> Segment | None:
        """Return the segment to deliver next, or None. Call `done` with it once its entries are delivered or refused."""
        with self._lock:
            if not self._segments:
                self._segments.extend(self._orphans())
            if not self._segments and self._written:
                self._rotate()
            return self._segments[0] if self._segments else None

    def done(self, segment: Segment) -> None:
        """Delete a segment whose entries are delivered or refused."""
        with self._lock:
            self._segments.remove(segment)
            self._waiting_bytes -= sum(len(entry.line()) for entry in segment.entries)
            if segment.path is not None:
                segment.path.unlink(missing_ok=True)
            if segment.lock is not None:
                segment.lock.close()

    def refuse(self, entry: Entry, reason: str) -> None:
        """Append an entry that the gateway refused permanently to `refused.jsonl`, for the operator to inspect."""
        log.error(
            "the gateway refused %s permanently: %s; %s", entry.path, reason, exact_json.dumps(entry.body).decode()
        )
        if self._directory is None:
            return
        with self._lock, open(self._directory / "refused.jsonl", "ab", opener=open_private) as file:
            file.write(exact_json.dumps({"reason": reason, "path": entry.path, "body": entry.body}) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Close the files; the next process takes over their entries."""
        with self._lock:
            if self._active is not None:
                self._active.close()
                self._active = None
            for segment in self._segments:
                if segment.lock is not None:
                    segment.lock.close()

    def _rotate(self) -> None:
        path = Path(self._active.name) if self._active else None
        self._segments.append(Segment(tuple(self._written), path, self._active))
        self._active, self._written = None, []

    def _new_file(self, directory: Path) -> IO[bytes]:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._active = open(directory / f"{new_uuid7()}.spool", "xb", opener=open_private)  # noqa: SIM115
        fcntl.flock(self._active, fcntl.LOCK_EX)
        folder = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return self._active

    def _orphans(self) -> Iterator[Segment]:
        if self._directory is None or not self._directory.is_dir():
            return
        known = {segment.path for segment in getattr(self, "_segments", [])}
        for path in sorted(self._directory.glob("*.spool")):
            if path in known:
                continue
            with suppress(FileNotFoundError, BlockingIOError):
                yield self._taken_over(path)

    def _taken_over(self, path: Path) -> Segment:
        file = path.open("rb+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise
        entries = tuple(_entries_in(path, file.read()))
        self._waiting_bytes += sum(len(entry.line()) for entry in entries)
        return Segment(entries, path, file)


def _entries_in(path: Path, data: bytes) -> Iterator[Entry]:
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        content = _content(line)
        if content is None:
            log.warning("line %d of %s is incomplete or damaged and is skipped", number, path)
            continue
        yield Entry(content["path"], content["body"], content["feature"], Decimal(content["debt"]))


def _content(line: bytes) -> Mapping[str, Any] | None:
    checksum, _, text = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % crc32(text):
        return None
    return exact_json.mapping(exact_json.loads_lenient(text))
