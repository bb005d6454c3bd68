"""Months of which sums are kept and whose facts are archived."""

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.facts.conditions import Rest
from faregate.analytics.question.dimensions import Dimension, Grain
from faregate.analytics.question.filters import Question
from faregate.core.db.database import Database
from faregate.core.db.partitions import Month

__all__ = ["ARCHIVES_VERSION", "ArchivedMonths"]

ARCHIVES_VERSION = "archives of usage_event"
"""Raised whenever a month of usage events is archived or restored: answers that are kept are not, from then on."""

_MONTHS = f"""
select r.bucket as month from faregate.usage_rollup r
where r.dimension = {int(Dimension.TOTAL)} and r.value = '' and r.grain = {int(Grain.MONTH)}
  and r.bucket < cast(:end as timestamptz) and r.bucket + interval '1 month' > cast(:start as timestamptz)
  and exists (
    select from faregate.usage_rollup q
    where q.dimension = r.dimension and q.value = '' and q.grain = {int(Grain.QUARTER)} and q.facts <> 0
      and q.bucket > greatest(r.bucket, cast(:start as timestamptz)) - interval '15 minutes'
      and q.bucket >= r.bucket and q.bucket < least(r.bucket + interval '1 month', cast(:end as timestamptz)))
  and not exists (
    select from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = cast(cast(:parent as text) as regclass)
      and c.relname = 'usage_event_y' || to_char(r.bucket at time zone 'UTC', 'YYYY"m"MM'))
order by 1
"""  # noqa: S608


class ArchivedMonths:
    """Looks up which months of a question lack their facts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, session: AsyncSession, question: Question, rest: Rest | None) -> None:
        """Note in the question what its facts (or, with a `rest`, those that the sums do not hold) lack.

        Raises:
            InvalidError: the question wants all facts or no answer.
        """
        span = question.range
        if rest is None:
            stretches = [(span.start, span.end)]
        else:
            edges = [(span.start, rest.start), (rest.end, span.end)]
            stretches = [(start, end) for start, end in edges if start is not None and end is not None]
        for start, end in stretches:
            rows = await self._database.rows(
                session, _MONTHS, start=start, end=end, parent=f"{self._database.sql.schema}.usage_event"
            )
            question.omissions.add(Month.of(row.month) for row in rows)
