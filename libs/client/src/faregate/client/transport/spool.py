"""What could not be sent yet: append-only files that survive a crash of this process or of the machine.

A line is `<crc32> <json>`; it is on disk (fsync) before `append` returns. A torn last line is a write that was never
promised and is skipped. Files are locked by the process that writes them; those of dead processes are taken over.
Entries may be handed out twice after a crash, which is harmless: what they hold is idempotent.
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

from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["Entry", "Segment", "SettlementSpool", "SpoolFullError"]

log = logging.getLogger("faregate.client")

_SEGMENT_ENTRIES = 500


class SpoolFullError(Exception):
    """The spool has reached its bound."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One POST that is owed to the gateway; `debt` is what an outage policy let pass for it."""

    path: str
    body: Any
    feature: str = ""
    debt: Decimal = Decimal(0)

    def line(self) -> bytes:
        """Return the entry as a line of the file."""
        text = exact_json.dumps({"path": self.path, "body": self.body, "feature": self.feature, "debt": self.debt})
        return b"%08x %s\n" % (crc32(text), text)


@dataclass(frozen=True)
class Segment:
    """Entries that were written together; `path` is None for those kept in memory."""

    entries: tuple[Entry, ...]
    path: Path | None = None
    lock: IO[bytes] | None = None


class SettlementSpool:
    """Entries in the order of their writing, on disk below `directory`, or in memory if that is None.

    Raises (on append):
        SpoolFullError: `limit_bytes` are waiting.
    """

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
        """Whether entries outlive this process."""
        return self._directory is not None

    def waiting(self) -> list[Entry]:
        """Return all entries that are not delivered."""
        with self._lock:
            return [entry for segment in self._segments for entry in segment.entries] + self._written

    def append(self, entry: Entry) -> None:
        """Keep `entry`; it is on disk when this returns."""
        line = entry.line()
        with self._lock:
            if self._waiting_bytes + len(line) > self._limit_bytes:
                raise SpoolFullError(f"{self._waiting_bytes} bytes are waiting for the gateway")
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
        """Return the segment to deliver next; call `done` with it afterwards, or nothing if that failed."""
        with self._lock:
            if not self._segments:
                self._segments.extend(self._orphans())
            if not self._segments and self._written:
                self._rotate()
            return self._segments[0] if self._segments else None

    def done(self, segment: Segment) -> None:
        """Forget a segment whose entries are delivered or refused."""
        with self._lock:
            self._segments.remove(segment)
            self._waiting_bytes -= sum(len(entry.line()) for entry in segment.entries)
            if segment.path is not None:
                segment.path.unlink(missing_ok=True)
            if segment.lock is not None:
                segment.lock.close()

    def refuse(self, entry: Entry, reason: str) -> None:
        """Set aside what the gateway will never take, in `refused.jsonl`, for a person to look at."""
        log.error("the gateway refused %s for good: %s; %s", entry.path, reason, exact_json.dumps(entry.body).decode())
        if self._directory is None:
            return
        with self._lock, open(self._directory / "refused.jsonl", "ab", opener=_private) as file:
            file.write(exact_json.dumps({"reason": reason, "path": entry.path, "body": entry.body}) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Let go of the files; what is in them is found again by the next process."""
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
        self._active = open(directory / f"{new_uuid7()}.spool", "xb", opener=_private)  # noqa: SIM115
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
        said = _content(line)
        if said is None:
            log.warning("line %d of %s is torn or damaged; skipped", number, path)
            continue
        yield Entry(said["path"], said["body"], said["feature"], Decimal(said["debt"]))


def _content(line: bytes) -> Mapping[str, Any] | None:
    checksum, _, text = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % crc32(text):
        return None
    return exact_json.mapping(exact_json.loads_lenient(text))


def _private(path: str, flags: int) -> int:
    """Open a file that only its owner may read, whatever the umask."""
    handle = os.open(path, flags, 0o600)
    os.fchmod(handle, 0o600)
    return handle
