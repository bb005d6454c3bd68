"""Time of one local decision of a lease."""

import asyncio
import gc
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

from faregate.client import FakeCredits

__all__ = ["CASES", "LeasePace", "measure_lease"]

CASES = {"no journal": (False, False), "journal": (True, False), "journal, fsync": (True, True)}
"""By name: whether there is a journal, and whether each use waits for the disk."""
_BLOCK = 100_000
_TURN = 50


@dataclass(frozen=True, slots=True)
class LeasePace:
    """Microseconds of a decision, while uses are reported in the background of the same event loop."""

    case: str
    uses: int
    p50_us: float
    p99_us: float
    worst_us: float


async def measure_lease(case: str, *, uses: int) -> LeasePace:
    """Time `uses` decisions one by one, against the client's gateway in memory."""
    has_journal, fsync = CASES[case]
    with tempfile.TemporaryDirectory(prefix="faregate-bench-") as directory:
        spool = Path(directory) if has_journal else None
        async with (
            FakeCredits(balance=10 * _BLOCK, spool_dir=spool) as credits,
            credits.lease("search", user="ada", credits=_BLOCK, fsync=fsync) as lease,
        ):
            took: list[int] = []
            gc.collect()
            for number in range(uses):
                began = perf_counter_ns()
                lease.use(1)
                took.append(perf_counter_ns() - began)
                if number % _TURN == 0:
                    await asyncio.sleep(0)
    took.sort()
    return LeasePace(case, uses, took[uses // 2] / 1000, took[uses * 99 // 100] / 1000, took[-1] / 1000)
