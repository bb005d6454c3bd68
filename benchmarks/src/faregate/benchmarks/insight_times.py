"""Times of insights over many events: made, and read again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from faregate.benchmarks.commands.main import private_database
from faregate.benchmarks.metering import fill, roll_up
from faregate.core.clock import SystemClock
from faregate.core.settings import load_settings
from faregate.host.container import FaregateContainer

__all__ = ["LIMIT_MAKE_MS", "LIMIT_READ_MS", "InsightTime", "time_insights"]

LIMIT_MAKE_MS, LIMIT_READ_MS = 5000, 100
_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class InsightTime:
    """Milliseconds to make an insight, and to read the kept result; None for anomalies, whose check is not a read."""

    name: str
    make_ms: float
    read_ms: float | None


async def time_insights(count: int) -> list[InsightTime]:
    """Return the times over `count` events, of which all are in the sums. Loading the extra is part of the first."""
    async with private_database(10, shared_buffers="1GB") as database:
        await fill(database, count)
        await roll_up(database)
        container = FaregateContainer(settings=load_settings(database_url=database.url))
        async with container.engines():
            makers = dict(container.insight_jobs().makers())
            makers["run-out dates"] = lambda: container.run_outs().run_outs()
            times = [InsightTime(name, await _ms(make), await _ms(make)) for name, make in makers.items()]
            return [*times, InsightTime("anomalies of an hour", await _ms(container.anomalies().check), None)]


async def _ms(work: Callable[[], Awaitable[object]]) -> float:
    began = _CLOCK.monotonic()
    await work()
    return (_CLOCK.monotonic() - began) * 1000
