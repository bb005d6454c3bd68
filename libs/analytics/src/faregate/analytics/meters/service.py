"""How much, how it moves, and when most: the questions about one meter."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from faregate.analytics.calendar import periods_of
from faregate.analytics.filters import Question
from faregate.analytics.meters.repository import MeterRepository
from faregate.analytics.meters.values import MeterStats, Peak, TrendPoint, change_percent
from faregate.core.database import Database

__all__ = ["MeterService", "PeakUnit"]

PeakUnit = Literal["hour", "day", "week", "month"]
_NOTHING = Decimal(0)
_WEEK = 7


class MeterService:
    """Answers from all committed facts; `meter` is a meter's name, or `requests`, `tokens`, `credits`, `cost_usd`."""

    def __init__(self, database: Database, repository: MeterRepository) -> None:
        self._database = database
        self._repository = repository

    async def stats(self, meter: str, question: Question) -> MeterStats:
        """Return count, sum, average, median, p95 and p99 over single events."""
        async with self._database.transaction(read_only=True) as session:
            return await self._repository.stats(session, meter, question)

    async def trends(self, meter: str, question: Question) -> Sequence[TrendPoint]:
        """Return each day of the question beside the day and the week before, which may lie outside of it."""
        earlier = replace(question.range, start=question.range.start - timedelta(days=_WEEK))
        async with self._database.transaction(read_only=True) as session:
            totals = await self._repository.daily(session, meter, replace(question, range=earlier))
        days = periods_of(earlier, "day")
        series = [(day, totals.get(day, _NOTHING)) for day in days]
        return [
            TrendPoint(
                day,
                total,
                change_percent(total, series[position - 1][1]),
                change_percent(total, series[position - _WEEK][1]),
            )
            for position, (day, total) in enumerate(series)
            if position >= _WEEK and day + timedelta(days=1) > question.range.start
        ]

    async def peaks(
        self, meter: str, question: Question, *, unit: PeakUnit = "hour", limit: int = 10
    ) -> Sequence[Peak]:
        """Return the hours, days, weeks or months of most use, the first one first."""
        async with self._database.transaction(read_only=True) as session:
            return await self._repository.peaks(session, meter, question, unit, limit)
