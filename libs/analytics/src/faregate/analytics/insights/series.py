"""Reader of series and breakdowns for insights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from faregate.analytics.answers.facts import FactReader
from faregate.analytics.question.calendar import Unit, next_period, period_at, periods_of
from faregate.analytics.question.filters import Question
from faregate.analytics.rollups.known_models import KnownModels
from faregate.analytics.values import Measures
from faregate.core.db.database import Database
from faregate.core.values.time_zones import time_zone

__all__ = ["Series", "SeriesReader", "complete_range", "periods_ahead"]


@dataclass(frozen=True, slots=True)
class Series:
    """Consecutive periods with their sums; empty ones are included."""

    periods: Sequence[datetime]
    measures: Sequence[Measures]

    def since_first_use(self) -> "Series":
        """Return the series without the empty periods at its beginning."""
        first = next((place for place, sums in enumerate(self.measures) if not sums.empty), len(self.measures))
        return Series(self.periods[first:], self.measures[first:])


class SeriesReader:
    """Reads whole periods from all committed facts, each answer from one snapshot."""

    def __init__(self, database: Database, facts: FactReader, models: KnownModels) -> None:
        self._database = database
        self._facts = facts
        self._models = models

    async def series(self, question: Question, unit: Unit) -> Series:
        """Return the sums of each period of the question's range."""
        return (await self.several([question], unit))[0]

    async def several(self, questions: Sequence[Question], unit: Unit) -> Sequence[Series]:
        """Return the series of several questions from one snapshot."""
        async with self._database.reading(isolation="REPEATABLE READ") as session:
            found: list[Series] = []
            for question in questions:
                asked = await self._models.resolve(session, question)
                sums = await self._facts.series(session, asked, unit)
                periods = periods_of(question.range, unit)
                found.append(Series(periods, [sums.get(period, Measures()) for period in periods]))
            return found


def complete_range(question: Question, unit: Unit, *, now: datetime, count: int) -> Question:
    """Return the question for the last `count` periods that are complete at `now`, in its time zone."""
    zone = time_zone(question.range.timezone)
    end = period_at(now, unit, zone)
    lengths = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
    start = period_at(end - lengths.get(unit, timedelta(days=30.44)) * count, unit, zone)
    return replace(question, range=replace(question.range, start=start, end=end))


def periods_ahead(start: datetime, unit: Unit, timezone: str, count: int) -> list[datetime]:
    """Return the starts of `count` periods from the one that begins at `start`, and the end of the last."""
    zone, found = time_zone(timezone), [start]
    while len(found) <= count:
        found.append(next_period(found[-1], unit, zone))
    return found
