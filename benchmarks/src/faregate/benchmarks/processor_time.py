"""Processor time of processes and their children, as Linux counts it.

On a machine that does other work as well it says more than the clock.
"""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

__all__ = ["processor_seconds"]

_PROCESSES = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES = 1, slice(11, 15)
"""Fields of `/proc/<pid>/stat` after the name: the parent, then the time in user and system mode, its own and that of ended
children."""


def processor_seconds(pids: Iterable[int]) -> float:
    """Return the processor time that these processes and their descendants have used so far; 0 where `/proc` is missing."""
    states = {int(entry.name): state for entry in _entries() if (state := _state(entry))}
    children: dict[int, list[int]] = defaultdict(list)
    for pid, (parent, _) in states.items():
        children[parent].append(pid)
    wanted, found = list(pids), set[int]()
    while wanted:
        pid = wanted.pop()
        if pid in states and pid not in found:
            found.add(pid)
            wanted += children[pid]
    return sum(states[pid][1] for pid in found)


def _entries() -> Iterable[Path]:
    return (entry for entry in _PROCESSES.iterdir() if entry.name.isdigit()) if _PROCESSES.exists() else ()


def _state(entry: Path) -> tuple[int, float] | None:
    """Return the parent and the seconds of a process, or None if it has ended meanwhile."""
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[_PARENT]), sum(map(int, fields[_TIMES])) / _TICKS
