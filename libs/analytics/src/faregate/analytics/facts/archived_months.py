"""Months with sums whose facts are archived."""

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.facts.conditions_sql import Rest
from faregate.analytics.facts.sql import ARCHIVED_MONTHS
from faregate.analytics.question.filters import Question
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month

__all__ = ["ARCHIVES_VERSION", "ArchivedMonths"]

ARCHIVES_VERSION = "archives of usage_event"
"""The version that is incremented whenever a month of usage events is archived or restored, so that kept answers become
invalid."""


class ArchivedMonths:
    """Finds the months of a question whose facts are archived."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, session: AsyncSession, question: Question, rest: Rest | None) -> None:
        """Note the archived months in the omissions of the question; with a `rest`, only for facts that the sums do not contain.

        Raises:
            InvalidError: the question refuses incomplete answers.
        """
        span = question.range
        if rest is None:
            stretches = [(span.start, span.end)]
        else:
            edges = [(span.start, rest.start), (rest.end, span.end)]
            stretches = [(start, end) for start, end in edges if start is not None and end is not None]
        for start, end in stretches:
            rows = await self._database.rows(
                session, ARCHIVED_MONTHS, start=start, end=end, parent=f"{self._database.sql.schema}.usage_event"
            )
            question.omissions.add(Month.of(row.month) for row in rows)
