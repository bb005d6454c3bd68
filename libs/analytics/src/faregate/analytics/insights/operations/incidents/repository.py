"""Repository of the charged uses of an incident."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.facts.conditions_sql import parameters
from faregate.analytics.insights.operations.incidents.sql import charged_uses
from faregate.analytics.insights.operations.incidents.values import ChargedUse, GiveBack
from faregate.analytics.question.filters import Question
from faregate.core.db.database import Database
from faregate.wire.credits import to_credits

__all__ = ["IncidentRepository"]


class IncidentRepository:
    """Reads in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def uses(
        self, session: AsyncSession, question: Question, give_back: GiveBack, *, limit: int
    ) -> Sequence[ChargedUse]:
        """Return the charged uses of a question that a rule finds and that are not refunded yet, the oldest first."""
        given = {**parameters(question), "limit": limit}
        if give_back.slower_than_ms is not None:
            given["slower_than_ms"] = give_back.slower_than_ms
        rows = await self._database.rows(session, charged_uses(question.filters, give_back.rule.value), **given)
        return [ChargedUse(row.subject_id, row.usage_key, to_credits(int(row.credits))) for row in rows]
