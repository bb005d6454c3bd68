"""What was used, added up for quotas from the facts: every committed use is in it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.quotas.values import UsageQuestion
from faregate.core.db.database import Database
from faregate.usage.events.keys import OWN_SOURCES

__all__ = ["BUILT_IN_MEASURES", "FactTotals"]

BUILT_IN_MEASURES = {
    "requests": "sum(e.requests)",
    "tokens": "sum(e.input_tokens + e.output_tokens)",
    "credits": "sum(e.credits) * 0.000001",
    "cost_usd": "sum(e.cost) * 0.000000000001",
}
"""What every use is measured in, meters aside; as SQL over `usage_event e`."""

_STANDING = """e.sign > 0 and e.quantity is not null and not exists (
    select from faregate.usage_correction c where c.event_key = e.event_key and c.version = e.version
  )"""

_METER = f"""
case coalesce(m.aggregation, 'sum')
  when 'count' then sum(e.sign)
  when 'max' then max(e.quantity) filter (where m.aggregation = 'max' and {_STANDING})
  when 'unique' then count(distinct e.subject_id) filter (where m.aggregation = 'unique' and {_STANDING})
  when 'latest' then
    (array_agg(e.quantity order by e.time desc) filter (where m.aggregation = 'latest' and {_STANDING}))[1]
  else sum(e.quantity)
end
"""

_OWNERS = {
    "user": "e.subject_id = ask.subject_id",
    "organization": "e.organization_id = ask.subject_id",
    "members": f"""e.organization_id = ask.subject_id and (
      starts_with(e.source, '{OWN_SOURCES}')
      or exists (
        select from faregate.member m where m.subject_id = e.subject_id and m.organization_id = ask.subject_id
      )
      or not exists (select from faregate.organization o where o.subject_id = ask.subject_id)
    )""",  # noqa: S608
    "everybody": "true",
}
"""Whose facts count. Of what others report for an organisation, `members` counts that of its members: who is no member uses
up no quota of it. The facts of settlements were checked before. An organisation that is not made here has no members.
"""

_SQL = """
select ask.number, coalesce(t.total, 0)::numeric as total
from unnest(
  cast(:numbers as int[]), cast(:subject_ids as bigint[]), cast(:meters as text[]), cast(:starts as timestamptz[]),
  cast(:ends as timestamptz[])
) as ask (number, subject_id, meter, start_at, end_at)
left join faregate.usage_meter m on m.name = ask.meter
cross join lateral (
  select {measure} as total from faregate.usage_event e
  where {owner} and e.time >= ask.start_at and e.time < ask.end_at {meter}
) t
"""


class FactTotals:
    """An `IUsageTotals` over the usage events: one statement per kind of owner and measure.

    Args:
        claim: for whom an organisation counts that an event names: `member`, for its members; `trusted`, for every user.
    """

    def __init__(self, database: Database, *, claim: Literal["member", "trusted"] = "member") -> None:
        self._database = database
        self._organization = "members" if claim == "member" else "organization"

    async def totals(self, session: AsyncSession, questions: Sequence[UsageQuestion]) -> Sequence[Decimal]:
        """Answer each question, in order."""
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
        return _SQL.format(measure=measure or _METER, owner=_OWNERS[owner], meter=only)
