"""Repository of feedback."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.insights.feedback.sql import (
    FEEDBACK_FORGET,
    FEEDBACK_LIST,
    FEEDBACK_PUT,
    FEEDBACK_RATED,
    FEEDBACK_SENTIMENT,
    FEEDBACK_UNREAD,
    FEEDBACK_USE,
)
from faregate.analytics.insights.feedback.values import (
    Feedback,
    FeedbackFilter,
    GivenFeedback,
    RatedUse,
    UnreadText,
)
from faregate.analytics.insights.sql import INSIGHT_HEAVY
from faregate.core.db.database import Database
from faregate.wire.credits import to_credits

__all__ = ["FeedbackRepository", "KnownUse"]


class KnownUse(NamedTuple):
    """The user and the feature of a use."""

    subject_id: int
    user_id: str
    feature_key: str


class FeedbackRepository:
    """Reads and writes feedback in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def use(self, session: AsyncSession, usage_key: str) -> KnownUse | None:
        """Return whose use a key is; None if no use has it."""
        rows = await self._database.rows(session, FEEDBACK_USE, usage_key=usage_key)
        return KnownUse(rows[0].subject_id, rows[0].user_id, rows[0].feature_key) if rows else None

    async def put(self, session: AsyncSession, use: KnownUse, given: GivenFeedback, *, now: datetime) -> Feedback:
        """Store feedback, or replace what the user said about this use before; the same again changes nothing."""
        (row,) = await self._database.rows(
            session,
            FEEDBACK_PUT,
            usage_key=given.usage_key,
            subject_id=use.subject_id,
            feature_key=use.feature_key,
            score=given.score,
            tags=list(given.tags),
            comment=given.text,
            now=now,
        )
        return _feedback(row, use.user_id)

    async def matching(self, session: AsyncSession, wanted: FeedbackFilter) -> Sequence[Feedback]:
        """Return feedback, the latest first."""
        rows = await self._database.rows(
            session,
            FEEDBACK_LIST,
            feature=wanted.feature,
            user_id=wanted.user_id,
            usage_key=wanted.usage_key,
            most_score=wanted.most_score,
            since=wanted.since,
            until=wanted.until,
            before_at=wanted.before[0] if wanted.before else None,
            before_key=wanted.before[1] if wanted.before else None,
            limit=wanted.limit,
        )
        return [_feedback(row, row.user_id) for row in rows]

    async def rated(
        self, session: AsyncSession, *, start: datetime, end: datetime, feature: str | None
    ) -> Sequence[RatedUse]:
        """Return the uses with feedback that was given in a period."""
        await self._database.rows(session, INSIGHT_HEAVY)
        rows = await self._database.rows(session, FEEDBACK_RATED, start=start, end=end, feature=feature)
        return [_rated(row) for row in rows]

    async def unread(self, session: AsyncSession, *, limit: int) -> Sequence[UnreadText]:
        """Return texts without a sentiment, the oldest first."""
        rows = await self._database.rows(session, FEEDBACK_UNREAD, limit=limit)
        return [UnreadText(row.usage_key, row.subject_id, row.updated_at, row.comment) for row in rows]

    async def keep_sentiment(
        self, session: AsyncSession, texts: Sequence[UnreadText], sentiments: Sequence[Decimal | None], *, model: str
    ) -> None:
        """Store the sentiment of texts that have not changed since they were read."""
        await self._database.rows(
            session,
            FEEDBACK_SENTIMENT,
            usage_keys=[text.usage_key for text in texts],
            subject_ids=[text.subject_id for text in texts],
            moments=[text.updated_at for text in texts],
            sentiments=list(sentiments),
            model=model,
        )

    async def forget(self, session: AsyncSession, before: datetime) -> int:
        """Delete feedback that was last given before a moment; return how much."""
        return len(await self._database.rows(session, FEEDBACK_FORGET, before=before))


def _feedback(row: Any, user_id: str) -> Feedback:
    return Feedback(
        usage_key=row.usage_key,
        user_id=user_id,
        feature_key=row.feature_key,
        score=row.score,
        tags=tuple(row.tags),
        text=row.comment,
        sentiment=row.sentiment,
        sentiment_by=row.sentiment_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _rated(row: Any) -> RatedUse:
    return RatedUse(
        subject_id=row.subject_id,
        score=row.score,
        sentiment=row.sentiment,
        tags=row.tags,
        feature=row.feature_key,
        models=row.models or (),
        credits=to_credits(row.consumed),
        cost_usd=None if row.unpriced else row.cost,
        latency_ms=row.duration_ms,
    )
