"""Timing of the dashboard's explorations with every two filters."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from itertools import combinations
from statistics import median

from faregate.analytics.answers.exploration import Explorer
from faregate.analytics.answers.facts import FactReader
from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.facts.repository import RawRepository
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.analytics.rollups.known_meters import KnownMeters
from faregate.analytics.rollups.known_models import KnownModels
from faregate.analytics.rollups.repository import RollupRepository
from faregate.core.clock import SystemClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.usage.meters.catalog import MeterCatalog

__all__ = ["Explored", "explore_all"]

_CLOCK = SystemClock()
_DAYS = 30
_VALUES = {
    "service": "chat",
    "model": "gpt-4o",
    "provider": "openai",
    "feature": "feature-1",
    "user_id": "user-1",
    "country": "DE",
    "device": "mobile",
    "status": "success",
}
"""A value of each filter that many of the generated events have."""


@dataclass(frozen=True, slots=True)
class Explored:
    """The median and the longest time of one exploration."""

    name: str
    ms: float
    most_ms: float


async def explore_all(database: Database, rounds: int) -> list[Explored]:
    """Explore a month `rounds` times without a filter, with each filter, and with each two filters; the slowest first."""
    explorer, found = _explorer(database), list[Explored]()
    for name, filters in _choices():
        took = sorted([await _ms(_ask(explorer, filters)) for _ in range(rounds)])
        found.append(Explored(name, round(median(took), 1), round(took[-1], 1)))
    return sorted(found, key=lambda each: -each.ms)


def _explorer(database: Database) -> Explorer:
    archived, subjects = ArchivedMonths(database), Subjects(database)
    rollups = RollupRepository(database, archived)
    reader = FactReader(RawRepository(database, archived), rollups, subjects)
    meters = KnownMeters(database, MeterCatalog(database), rollups)
    return Explorer(database, reader, subjects, KnownModels(rollups), meters, _CLOCK)


def _choices() -> Iterator[tuple[str, Filters]]:
    yield "no filter", Filters()
    for count in (1, 2):
        for names in combinations(_VALUES, count):
            yield " + ".join(names), Filters(**{name: _VALUES[name] for name in names})


def _ask(explorer: Explorer, filters: Filters) -> Callable[[], Awaitable[object]]:
    """Return the question of the overview: the top eight models by day, beside the period before."""
    today = _CLOCK.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    end = today + timedelta(days=1)
    question = Question(TimeRange(end - timedelta(days=_DAYS), end), filters)
    return lambda: explorer.explore(question, "model", unit="day", amount="credits", top=8)


async def _ms(ask: Callable[[], Awaitable[object]]) -> float:
    began = _CLOCK.monotonic()
    await ask()
    return (_CLOCK.monotonic() - began) * 1000
