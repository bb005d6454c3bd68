"""Journal of the uses of one lease.

An append-only file per lease, which survives a crash of the process. A line is `<crc32> use <key> <micro-credits>` or
`<crc32> reported <count>`, which stands for the oldest uses before it. It is written before the use is decided. The file is locked
by its process; what a dead process has left is reported by the next client with the same directory. Reporting a use again is safe:
its key is charged once.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from faregate.client.transport.private_files import open_private

__all__ = ["LeaseJournal", "LeftUses", "left_uses"]

log = logging.getLogger("faregate.client")

_SUFFIX = ".lease"
_COMPACTED_BYTES = 64 * 1024


class LeaseJournal:
    """The journal of one lease; without a directory nothing is written, and a crash loses the unreported uses.

    Args:
        fsync: wait for the disk at each use, so that uses survive a crash of the machine and not only of the process.
    """

    def __init__(self, directory: Path | None, lease_id: str, *, fsync: bool = False) -> None:
        self._fsync = fsync
        self._path = directory / f"{lease_id}{_SUFFIX}" if directory is not None else None
        self._handle: int | None = None
        self._end = 0
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._handle = open_private(str(self._path), os.O_RDWR | os.O_CREAT | os.O_EXCL)
            fcntl.flock(self._handle, fcntl.LOCK_EX)

    def append(self, key: str, micros: int) -> None:
        """Write one use; when this fails, nothing of it stays in the file.

        Raises:
            OSError: the disk is full or broken; the use must not be decided.
        """
        self._write(b"use %s %d" % (key.encode(), micros), sync=self._fsync)

    def reported(self, count: int, *, empty: bool) -> None:
        """Note that the oldest `count` uses are reported; a long file of which nothing is left is emptied."""
        if self._handle is not None and empty and self._end > _COMPACTED_BYTES:
            os.ftruncate(self._handle, 0)
            self._end = 0
            return
        self._write(b"reported %d" % count, sync=False)

    def remove(self) -> None:
        """Delete the file: nothing in it waits."""
        if self._handle is not None and self._path is not None:
            self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the file; the next client with its directory reports what it holds."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _write(self, text: bytes, *, sync: bool) -> None:
        if self._handle is None:
            return
        line = b"%08x %s\n" % (crc32(text), text)
        written = os.pwrite(self._handle, line, self._end)
        if written < len(line):
            os.ftruncate(self._handle, self._end)
            raise OSError(f"the journal {self._path} cannot be written: the disk is full")
        if sync:
            os.fsync(self._handle)
        self._end += len(line)


@dataclass(frozen=True)
class LeftUses:
    """The unreported uses in the journal of a dead process; its lock is held until `remove`."""

    lease_id: str
    uses: Sequence[tuple[str, int]]
    path: Path
    handle: int

    def remove(self) -> None:
        """Delete the journal: its uses are on their way."""
        self.path.unlink(missing_ok=True)
        os.close(self.handle)


def left_uses(directory: Path | None) -> Iterator[LeftUses]:
    """Take over the journals of dead processes in `directory`."""
    for path in sorted(directory.glob(f"*{_SUFFIX}")) if directory is not None and directory.is_dir() else ():
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        yield LeftUses(path.name.removesuffix(_SUFFIX), _uses_in(path, path.read_bytes()), path, handle)


def _uses_in(path: Path, data: bytes) -> Sequence[tuple[str, int]]:
    uses: list[tuple[str, int]] = []
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        checksum, _, text = line.removesuffix(b"\n").partition(b" ")
        if not line.endswith(b"\n") or checksum != b"%08x" % crc32(text):
            log.warning("line %d of %s is incomplete or damaged and is skipped", number, path)
            continue
        kind, *words = text.decode().split(" ")
        if kind == "use":
            uses.append((words[0], int(words[1])))
        else:
            del uses[: int(words[0])]
    return uses
