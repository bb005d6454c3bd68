"""Repository of kept insights."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.insights.sql import (
    INSIGHT_ADD,
    INSIGHT_BY_ID,
    INSIGHT_FIND,
    INSIGHT_FORGET,
    INSIGHT_PEOPLE,
    INSIGHT_SINCE,
)
from faregate.analytics.insights.values import Ask, Evidence, Insight, InsightKind, InsightResult, PersonFinding
from faregate.core.db.database import Database
from faregate.core.db.sql import SUBJECT_NAME
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["InsightRepository", "evidence_of_json"]


class InsightRepository:
    """Reads and writes kept results in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, session: AsyncSession, ask: Ask, result: InsightResult, *, now: datetime) -> Insight:
        """Keep `result` as the result of `ask`, instead of one that lacked data."""
        insight_id = new_uuid7()
        await self._database.rows(
            session,
            INSIGHT_ADD,
            insight_id=insight_id,
            kind=ask.kind.value,
            ask_key=ask.key,
            parameters=exact_json.dumps(ask.parameters).decode(),
            owners=list(ask.owners.values()),
            enough=result.enough,
            evidence=exact_json.dumps(asdict(result.evidence)).decode(),
            answer=exact_json.dumps(result.answer).decode(),
            now=now,
        )
        rows = [
            (insight_id, person.rank, person.subject_id, exact_json.dumps(person.facts).decode())
            for person in result.people
        ]
        if rows:
            await self._database.copy(session, "insight_person", ["insight_id", "rank", "subject_id", "facts"], rows)
        return Insight(insight_id, ask.kind, now, result)

    async def newest(
        self, session: AsyncSession, ask: Ask, *, people: int = 0, user_id: str | None = None
    ) -> Insight | None:
        """Return the newest result of `ask`, with its first `people`, or only what it found about `user_id`."""
        rows = await self._database.rows(session, INSIGHT_FIND, ask_key=ask.key)
        if not rows:
            return None
        found: Sequence[Any] = ()
        if people:
            found = await self._database.rows(
                session, INSIGHT_PEOPLE, insight_id=rows[0].insight_id, user_id=user_id, limit=people
            )
        return insight_of(rows[0], found)

    async def unkept(
        self, session: AsyncSession, ask: Ask, result: InsightResult, *, people: int, user_id: str | None, now: datetime
    ) -> Insight:
        """Return what `newest` would return if `result` were kept."""
        listed = result.people if user_id is not None else result.people[:people]
        rows = await self._database.rows(session, SUBJECT_NAME, ids=[person.subject_id for person in listed])
        names = {row.subject_id: row.external_id for row in rows}
        found = [replace(person, user_id=names.get(person.subject_id)) for person in listed]
        shown = [person for person in found if user_id in {None, person.user_id}][:people]
        answer = exact_json.mapping(exact_json.loads(exact_json.dumps(result.answer)))
        return Insight(new_uuid7(), ask.kind, now, replace(result, answer=answer, people=shown))

    async def find(self, session: AsyncSession, insight_id: UUID, *, people: int) -> Insight | None:
        """Return one kept result with its first `people`."""
        rows = await self._database.rows(session, INSIGHT_BY_ID, insight_id=insight_id)
        if not rows:
            return None
        found = await self._database.rows(session, INSIGHT_PEOPLE, insight_id=insight_id, user_id=None, limit=people)
        return insight_of(rows[0], found)

    async def since(self, session: AsyncSession, ask: Ask, since: datetime, *, limit: int) -> Sequence[Insight]:
        """Return the results of `ask` that had enough data and were made since a moment, the newest first, without people."""
        rows = await self._database.rows(session, INSIGHT_SINCE, ask_key=ask.key, since=since, limit=limit)
        return [insight_of(row) for row in rows]

    async def forget(self, session: AsyncSession, before: datetime) -> int:
        """Delete results that were made before a moment; return how many."""
        return len(await self._database.rows(session, INSIGHT_FORGET, before=before))


def evidence_of_json(given: Mapping[str, Any]) -> Evidence:
    """Return the evidence of its JSON values."""
    return Evidence(
        method=given["method"],
        sample=given["sample"],
        sampled=given["sampled"],
        start=datetime.fromisoformat(given["start"]),
        end=datetime.fromisoformat(given["end"]),
        uncertainty=given["uncertainty"],
        limits=tuple(given["limits"]),
    )


def insight_of(row: Any, people: Sequence[Any] = ()) -> Insight:
    """Return the kept result of a row."""
    evidence = evidence_of_json(exact_json.loads(row.evidence))
    found = [PersonFinding(each.subject_id, each.rank, exact_json.loads(each.facts), each.user_id) for each in people]
    return Insight(
        row.insight_id,
        InsightKind(row.kind),
        row.made_at,
        InsightResult(row.enough, evidence, exact_json.loads(row.answer), found),
    )
