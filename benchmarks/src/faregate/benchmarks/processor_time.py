"""Processor time of PostgreSQL, of this process and of others, in seconds."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from faregate.core.db.database import Database

__all__ = ["ProcessorTime", "process_seconds"]

_NANOSECONDS = 10**9
_BACKEND = "select pg_backend_pid() as pid"


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Processor time so far, of a server on this machine and of this process."""

    server: float
    process: float

    @classmethod
    async def now(cls, database: Database) -> Self:
        """Return the time that all processes of the server have used, those that ended included."""
        async with database.transaction(read_only=True) as session:
            (row,) = await database.rows(session, _BACKEND)
        postmaster = _parent(row.pid)
        running = sum(map(_running_seconds, _children(postmaster)))  # first: who ends from here on is in the other sum
        return cls(running + _ended_seconds(postmaster), time.process_time())

    def __sub__(self, earlier: "ProcessorTime") -> "ProcessorTime":
        """Return the time used since `earlier`."""
        return ProcessorTime(self.server - earlier.server, self.process - earlier.process)

    @property
    def total(self) -> float:
        """The time of the server and of this process together."""
        return self.server + self.process


def process_seconds(pid: int) -> float:
    """Return the time of a process with all its threads, to the hundredth of a second."""
    return sum(map(int, _stat(pid)[11:13])) / os.sysconf("SC_CLK_TCK")


def _running_seconds(pid: int) -> float:
    """Return the time of a process, exact to the nanosecond; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / _NANOSECONDS
    except FileNotFoundError:
        return 0.0


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/[pid]/stat from the state on, which is the third."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _children(pid: int) -> Iterator[int]:
    """Return the children of a process, those included that end and are not in `pg_stat_activity` any more."""
    return map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def _ended_seconds(pid: int) -> float:
    """Return the time of the children of a process that have ended."""
    return sum(map(int, _stat(pid)[13:15])) / os.sysconf("SC_CLK_TCK")
