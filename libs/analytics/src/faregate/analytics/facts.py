"""Answers to questions about facts, from what is prepared where there is such, and from the raw facts for the rest."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.filters import Question
from faregate.analytics.raw_repository import RawRepository
from faregate.analytics.statistics import percentile
from faregate.analytics.values import Measures

__all__ = ["FactReader", "Group"]

Group = tuple[str | None, ...]


class FactReader:
    """Reads in the caller's transaction, which is REPEATABLE READ: all parts of an answer are of one moment."""

    def __init__(self, raw: RawRepository) -> None:
        self._raw = raw

    async def measures(
        self, session: AsyncSession, question: Question, by: Sequence[str] = ()
    ) -> Mapping[Group, Measures]:
        """Return the sums by the values of the dimensions `by`; groups of which nothing is left do not appear."""
        found = await self._raw.measures(session, question, by)
        return {key: measures for key, measures in found.items() if any(measures.sums)}

    async def series(self, session: AsyncSession, question: Question, unit: str) -> Mapping[datetime, Measures]:
        """Return the sums by period in the question's time zone; empty periods do not appear."""
        return await self._raw.series(session, question, unit)

    async def users(self, session: AsyncSession, question: Question) -> Mapping[int, tuple[Measures, datetime]]:
        """Return the sums and the last activity of each subject."""
        return await self._raw.users(session, question)

    async def percentiles(
        self, session: AsyncSession, question: Question, percents: Sequence[int], *, exact: bool = False
    ) -> list[Decimal | None]:
        """Return percentiles of the latencies in milliseconds: at most 1 % off, or exact on demand."""
        del exact
        counts = await self._raw.latencies(session, question)
        found = [percentile(counts, percent) for percent in percents]
        return [Decimal(value) if value is not None else None for value in found]

    async def unique_users(
        self, session: AsyncSession, question: Question, unit: str | None = None
    ) -> Mapping[datetime | None, int]:
        """Return how many users were active, exactly: by period, or under None in the whole range."""
        found = await self._raw.active(session, question, unit)
        return {period: sum(1 for facts in users.values() if facts > 0) for period, users in found.items()}
