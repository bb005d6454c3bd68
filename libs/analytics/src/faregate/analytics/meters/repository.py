"""All SQL about the statistics of meters."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.filters import Question
from faregate.analytics.meters.values import MeterStats, Peak
from faregate.analytics.raw_facts import conditions, parameters
from faregate.core.database import Database

__all__ = ["MeterRepository"]

_MEASURES: Mapping[str, tuple[str, str]] = {
    "requests": ("e.requests::numeric", "e.requests <> 0"),
    "tokens": ("(e.input_tokens + e.output_tokens)::numeric", "e.calls <> 0 or e.input_tokens + e.output_tokens <> 0"),
    "credits": ("e.credits * 0.000001", "e.credits <> 0"),
    "cost_usd": ("e.cost * 0.000000000001", "e.cost is not null"),
}
_METER = ("e.quantity", "e.meter = :meter")

_STANDING = """
e.sign > 0 and not exists (
  select from faregate.usage_correction c where c.event_key = e.event_key and c.version = e.version
)
"""

_FACTS = """
(select e.time, {value} as value from faregate.usage_event e where {where} and ({only}) and {standing}) f
"""

_STATS = """
select count(*) as count, coalesce(sum(value), 0) as total, avg(value) as average, min(value) as least,
  max(value) as most, percentile_disc(array[0.5, 0.95, 0.99]) within group (order by value) as ranks
from {facts}
"""

_SERIES = """
select date_trunc('{unit}', f.time, :timezone) as period, sum(f.value) as total, count(*) as events
from {facts} group by 1 {order}
"""


class MeterRepository:
    """Reads what was used of one meter, or of `requests`, `tokens`, `credits` or `cost_usd`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def stats(self, session: AsyncSession, meter: str, question: Question) -> MeterStats:
        """Return the statistics over single events."""
        rows = await self._rows(session, _STATS.format(facts=_facts(meter, question)), meter, question)
        row = rows[0]
        median, p95, p99 = row.ranks or (None, None, None)
        average = round(row.average, 6) if row.average is not None else None
        return MeterStats(row.count, row.total, average, row.least, median, p95, p99, row.most)

    async def daily(self, session: AsyncSession, meter: str, question: Question) -> Mapping[datetime, Decimal]:
        """Return the totals of the days on which anything was used."""
        sql = _SERIES.format(unit="day", facts=_facts(meter, question), order="")
        rows = await self._rows(session, sql, meter, question, timezone=question.range.timezone)
        return {row.period: row.total for row in rows}

    async def peaks(
        self, session: AsyncSession, meter: str, question: Question, unit: str, limit: int
    ) -> Sequence[Peak]:
        """Return the periods of most use, the first one first."""
        order = "order by 2 desc, 1 limit :limit"
        sql = _SERIES.format(unit=unit, facts=_facts(meter, question), order=order)
        rows = await self._rows(session, sql, meter, question, timezone=question.range.timezone, limit=limit)
        return [Peak(row.period, row.total, row.events) for row in rows]

    async def _rows(
        self, session: AsyncSession, sql: str, meter: str, question: Question, **more: Any
    ) -> Sequence[Any]:
        named = {} if meter in _MEASURES else {"meter": meter}
        return await self._database.rows(session, sql, **parameters(question), **named, **more)


def _facts(meter: str, question: Question) -> str:
    value, only = _MEASURES.get(meter, _METER)
    return _FACTS.format(value=value, only=only, where=conditions(question.filters), standing=_STANDING)
