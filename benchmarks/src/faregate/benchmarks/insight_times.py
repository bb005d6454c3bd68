"""Times of insights over many events: made, and read again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from faregate.analytics.insights.costs.scenario import Proposal, ProposedMargin, ProposedPrice
from faregate.analytics.question.filters import Question, TimeRange
from faregate.benchmarks.commands.main import private_database
from faregate.benchmarks.metering import fill, roll_up
from faregate.benchmarks.settled_uses_sql import ADD_FEEDBACK, ADD_LINES, ADD_USES
from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.settings import load_settings
from faregate.host.container import FaregateContainer

__all__ = ["LIMIT_MAKE_MS", "LIMIT_READ_MS", "InsightTime", "time_insights"]

LIMIT_MAKE_MS, LIMIT_READ_MS = 5000, 100
_CLOCK = SystemClock()
_PROPOSAL = Proposal(
    margins=(ProposedMargin(Decimal(30)), ProposedMargin(Decimal(50), model="gpt-5")),
    prices=tuple(
        ProposedPrice(model, {"input_mtok": Decimal(2), "cache_read_mtok": Decimal("0.5"), "output_mtok": Decimal(9)})
        for model in ("gpt-4o", "gpt-4o-mini", "gpt-5", "claude-sonnet-4-5", "gemini-2.5-pro")
    ),
)


@dataclass(frozen=True, slots=True)
class InsightTime:
    """Milliseconds to make an insight, and to read the kept result; None for anomalies, whose check is not a read."""

    name: str
    make_ms: float
    read_ms: float | None


async def time_insights(count: int) -> list[InsightTime]:
    """Return the times over `count` events, of which all are in the sums. Loading the extra is part of the first.

    A settlement makes two events: half as many settled uses are written, each with a line, and every fifth with feedback.
    """
    async with private_database(10, shared_buffers="1GB") as database:
        await fill(database, count)
        await _add_uses(database, count // 2)
        await roll_up(database)
        container = FaregateContainer(settings=load_settings(database_url=database.url))
        async with container.engines():
            makers = dict(container.insight_jobs().makers())
            makers["run-out dates"] = lambda: container.run_outs().run_outs()
            makers["what-if of margins and prices"] = lambda: container.costs().what_if(_question(), _PROPOSAL)
            times = [InsightTime(name, await _ms(make), await _ms(make)) for name, make in makers.items()]
            return [*times, InsightTime("anomalies of an hour", await _ms(container.anomalies().check), None)]


def _question() -> Question:
    end = _CLOCK.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return Question(TimeRange(end - timedelta(days=30), end, "UTC"))


async def _add_uses(database: Database, count: int) -> None:
    async with database.transaction() as session:
        for statement in (ADD_USES, ADD_LINES, ADD_FEEDBACK):
            await database.rows(session, statement, count=count)


async def _ms(work: Callable[[], Awaitable[object]]) -> float:
    began = _CLOCK.monotonic()
    await work()
    return (_CLOCK.monotonic() - began) * 1000
