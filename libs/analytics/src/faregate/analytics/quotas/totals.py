"""Usage totals for quotas, from all committed facts."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.sql import TOTALS_OWNERS, TOTALS_SQL, TOTALS_STANDING
from faregate.analytics.quotas.values import UsageQuestion
from faregate.core.db.database import Database

__all__ = ["BUILT_IN_MEASURES", "FactTotals"]

BUILT_IN_MEASURES = {
    "requests": "sum(e.requests)",
    "tokens": "sum(e.input_tokens + e.output_tokens)",
    "credits": "sum(e.credits) * 0.000001",
    "cost_usd": "sum(e.cost) * 0.000000000001",
}
"""The measures of every use, except meters, as SQL over `usage_event e`."""


_METER = f"""
case coalesce(m.aggregation, 'sum')
  when 'count' then sum(e.sign)
  when 'max' then max(e.quantity) filter (where m.aggregation = 'max' and {TOTALS_STANDING})
  when 'unique' then count(distinct e.subject_id) filter (where m.aggregation = 'unique' and {TOTALS_STANDING})
  when 'latest' then
    (array_agg(e.quantity order by e.time desc) filter (where m.aggregation = 'latest' and {TOTALS_STANDING}))[1]
  else sum(e.quantity)
end
"""


class FactTotals:
    """The `IUsageTotals` over usage events: one statement for each kind of owner and measure.

    Args:
        claim: for which users the organisation of an event counts: `member`, for its members; `trusted`, for every user.
    """

    def __init__(self, database: Database, *, claim: Literal["member", "trusted"] = "member") -> None:
        self._database = database
        self._organization = "members" if claim == "member" else "organization"

    async def totals(self, session: AsyncSession, questions: Sequence[UsageQuestion]) -> Sequence[Decimal]:
        """Return the total of each question, in order."""
        groups: dict[str, list[int]] = {}
        for number, question in enumerate(questions):
            groups.setdefault(self._statement(question), []).append(number)
        answers = [Decimal(0)] * len(questions)
        for sql, numbers in groups.items():
            rows = await self._database.rows(
                session,
                sql,
                numbers=numbers,
                subject_ids=[questions[number].subject_id for number in numbers],
                meters=[questions[number].meter for number in numbers],
                starts=[questions[number].start for number in numbers],
                ends=[questions[number].end for number in numbers],
            )
            for row in rows:
                answers[row.number] = row.total
        return answers

    def _statement(self, question: UsageQuestion) -> str:
        named = self._organization if question.organization else "user"
        owner = "everybody" if question.subject_id is None else named
        measure = BUILT_IN_MEASURES.get(question.meter)
        only = "" if measure else "and e.meter = ask.meter"
        return TOTALS_SQL.format(measure=measure or _METER, owner=TOTALS_OWNERS[owner], meter=only)
