"""Stalls of the machine: times in which it gave a trial no processor, so that nothing could succeed."""

import asyncio
import itertools
import time
from collections.abc import Sequence

__all__ = ["Stall", "Stalls", "longest_silence"]

Stall = tuple[float, float]
"""When it began and ended."""

_TICK_SECONDS = 0.1
_SHORTEST_SECONDS = 0.5


class Stalls:
    """Wakes ten times a second, and notes when it was woken late.

    The gateways, workers and servers of a trial have its priority, and stand still when it does.
    """

    def __init__(self) -> None:
        self.seen: list[Stall] = []

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            due = time.time() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            self.note(due, time.time())

    def note(self, due: float, woken: float) -> None:
        if woken - due > _SHORTEST_SECONDS:
            self.seen.append((due, woken))

    def within(self, begin: float, end: float) -> float:
        """Return how many seconds of a time were stalls."""
        return sum(max(0.0, min(end, stop) - max(begin, start)) for start, stop in self.seen)


def longest_silence(moments: Sequence[float], begin: float, end: float, stalls: Stalls) -> float:
    """Return the longest time between two of the moments, or a bound, within the bounds; stalls do not count."""
    inside = [begin, *sorted(moment for moment in moments if begin < moment < end), end]
    gaps = itertools.pairwise(inside)
    return max(later - earlier - stalls.within(earlier, later) for earlier, later in gaps)
