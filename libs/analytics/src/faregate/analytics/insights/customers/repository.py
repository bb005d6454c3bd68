"""Repository of the activity of users, their plans, and segment rules."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.facts.archived_months import ArchivedMonths
from faregate.analytics.facts.conditions_sql import parameters
from faregate.analytics.insights.customers.segment_rules import SegmentRule, conditions_of
from faregate.analytics.insights.customers.sql import (
    RULE_DELETE,
    RULE_LIST,
    RULE_PUT,
    SUBSCRIBERS,
    activity_sql,
    adoption_sql,
)
from faregate.analytics.insights.customers.values import (
    RECENT_DAYS,
    FeatureUsers,
    Subscription,
    UserActivity,
    UserSums,
)
from faregate.analytics.question.calendar import periods_of
from faregate.analytics.question.filters import Question
from faregate.core.db.database import Database
from faregate.wire import exact_json
from faregate.wire.credits import to_credits

__all__ = ["CustomerRepository"]

_PICO = Decimal("0.000000000001")


class CustomerRepository:
    """Reads from the facts, in the caller's transaction; months that are archived are noted on the question."""

    def __init__(self, database: Database, archived: ArchivedMonths) -> None:
        self._database = database
        self._archived = archived

    async def activity(self, session: AsyncSession, question: Question) -> Sequence[UserActivity]:
        """Return the activity of each user in the days of the question's range, which are whole days of its time zone."""
        await self._archived.note(session, question, None)
        days = periods_of(question.range, "day")
        rows = await self._database.rows(
            session,
            activity_sql(question.filters),
            **parameters(question),
            periods=days,
            recent=len(days) - RECENT_DAYS,
            before=len(days) - 2 * RECENT_DAYS,
        )
        return [
            UserActivity(
                row.subject_id,
                tuple(day - 1 for day in row.days),
                row.last_at,
                _sums(row, "whole"),
                _sums(row, "recent"),
                _sums(row, "before"),
            )
            for row in rows
        ]

    async def adoption(self, session: AsyncSession, question: Question) -> Sequence[FeatureUsers]:
        """Return the users of each feature in the last days of the range and in those before, the most used first."""
        await self._archived.note(session, question, None)
        days = periods_of(question.range, "day")
        rows = await self._database.rows(
            session,
            adoption_sql(question.filters),
            **parameters(question),
            periods=days,
            recent=len(days) - RECENT_DAYS,
        )
        return [FeatureUsers(row.feature_key, row.users, row.users_before, row.repeated) for row in rows]

    async def subscriptions(self, session: AsyncSession, subject_ids: Sequence[int]) -> Mapping[int, Subscription]:
        """Return the plans and balances of those who have a wallet."""
        rows = await self._database.rows(session, SUBSCRIBERS, subject_ids=list(subject_ids))
        return {row.subject_id: Subscription(row.plan, to_credits(row.balance)) for row in rows}

    async def put_rule(self, session: AsyncSession, rule: SegmentRule, *, now: datetime) -> None:
        """Store a segment rule under its name."""
        conditions = exact_json.dumps([each.as_json for each in rule.conditions]).decode()
        await self._database.rows(session, RULE_PUT, name=rule.name, conditions=conditions, now=now)

    async def rules(self, session: AsyncSession) -> Sequence[SegmentRule]:
        """Return the segment rules by name."""
        rows = await self._database.rows(session, RULE_LIST)
        return [SegmentRule(row.name, conditions_of(exact_json.loads(row.conditions))) for row in rows]

    async def remove_rule(self, session: AsyncSession, name: str) -> bool:
        """Delete a segment rule; return whether it existed."""
        return bool(await self._database.rows(session, RULE_DELETE, name=name))


def _sums(row: Any, window: str) -> UserSums:
    requests, errors, tokens, credits, charged, cost = (
        getattr(row, f"{window}_{name}") for name in ("requests", "errors", "tokens", "credits", "charged", "cost")
    )
    return UserSums(
        int(requests),
        int(errors),
        int(tokens),
        to_credits(int(credits)),
        to_credits(int(charged)),
        Decimal(cost) * _PICO,
    )
