"""Feedback service: give, list, satisfaction, sentiment, retention."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.insights.asking import ask_of, refuse_filters
from faregate.analytics.insights.feedback.evidence import satisfaction_evidence
from faregate.analytics.insights.feedback.interfaces import ISentimentModel, NoSentiment
from faregate.analytics.insights.feedback.repository import FeedbackRepository
from faregate.analytics.insights.feedback.satisfaction import LEAST_RATED, LEAST_RATERS, satisfaction_answer
from faregate.analytics.insights.feedback.values import (
    Feedback,
    FeedbackFilter,
    GivenFeedback,
    SatisfactionBy,
    UnreadText,
)
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.series import complete_range
from faregate.analytics.insights.values import Insight, InsightKind, InsightResult
from faregate.analytics.question.calendar import period_at
from faregate.analytics.question.filters import Question
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import InvalidError
from faregate.core.logging import get_logger
from faregate.core.redaction.records import IRedactor
from faregate.core.redaction.scrubbing import CREDENTIAL, is_credential
from faregate.core.values.time_zones import time_zone
from faregate.credit.errors import HoldMismatchError, unknown_usage_key
from faregate.wire.ids import check_external_id

__all__ = ["RATED_DAYS", "TAG_PATTERN", "FeedbackService"]

log = get_logger(__name__)

RATED_DAYS = 90
TAG_PATTERN = r"^[A-Za-z0-9_.:/ -]{1,50}$"
_TAG = re.compile(TAG_PATTERN)
_TAGS, _TEXT = 20, 2000
_READ_AT_ONCE = 100


class FeedbackService:
    """The use cases of feedback; each opens its own transactions.

    Args:
        redactor: redacts texts before they are stored.
        keep_days: how long feedback is kept after it was last given.
    """

    def __init__(
        self,
        database: Database,
        repository: FeedbackRepository,
        keeper: InsightKeeper,
        redactor: IRedactor,
        sentiment: ISentimentModel,
        clock: IClock,
        *,
        keep_days: int,
    ) -> None:
        self._database = database
        self._repository = repository
        self._keeper = keeper
        self._redactor = redactor
        self._sentiment = sentiment
        self._clock = clock
        self._keep_days = keep_days

    async def give(self, given: GivenFeedback, *, user_id: str | None = None, own: bool = False) -> Feedback:
        """Store what the user of a use says about it; it replaces what was said before. The same again changes nothing.

        Args:
            user_id: who says it; None for the user of the use.
            own: the caller is `user_id`, who learns nothing about the uses of others.

        Raises:
            InvalidError: a field is invalid; `param` names it.
            UnknownUsageKeyError: no use has this key, or with `own` none of this user.
            HoldMismatchError: the use is another user's.
        """
        kept = replace(given, tags=_checked(given), text=self._redacted(given.text))

        async def work(session: AsyncSession) -> Feedback:
            use = await self._repository.use(session, given.usage_key)
            if use is None or (own and use.user_id != user_id):
                raise unknown_usage_key(given.usage_key)
            if user_id is not None and use.user_id != user_id:
                raise HoldMismatchError(given.usage_key, "user_id")
            return await self._repository.put(session, use, kept, now=self._clock.now())

        return await self._database.run(work)

    async def feedback(self, wanted: FeedbackFilter) -> Sequence[Feedback]:
        """Return feedback, the latest first."""
        async with self._database.reading() as session:
            return await self._repository.matching(session, wanted)

    async def satisfaction(self, question: Question, by: SatisfactionBy = "feature") -> Insight:
        """Return scores by feature, model or price of a use, from the last 90 complete days, and their rank correlations.

        Raises:
            InvalidError: the question filters by something other than a feature.
        """
        refuse_filters(question, {*question.filters.given} - {"feature"}, "feedback is about uses of features")
        ask = ask_of(InsightKind.SATISFACTION, question, by=by)
        since = period_at(self._clock.now(), "day", time_zone(question.range.timezone))
        return await self._keeper.current(ask, lambda: self._satisfaction(question, by), made_since=since)

    async def read_sentiment(self) -> int:
        """Have the host's model rate the texts that it has not seen; return how many. Safe to repeat.

        A text that changes meanwhile is rated again. If the model fails, the texts wait for the next call.
        """
        if isinstance(self._sentiment, NoSentiment):
            return 0
        rated = 0
        while texts := await self._unread():
            try:
                sentiments = await self._sentiment.rate([text.text for text in texts])
            except Exception as error:  # noqa: BLE001  the host's model may raise anything
                log.warning("sentiment_not_read", texts=len(texts), reason=f"{type(error).__name__}: {error}")
                return rated
            await self._keep(texts, [_bounded(value) for value in sentiments])
            rated += len(texts)
            if len(texts) < _READ_AT_ONCE:
                break
        return rated

    async def forget(self) -> int:
        """Delete feedback whose retention is over; return how much."""

        async def work(session: AsyncSession) -> int:
            return await self._repository.forget(session, self._clock.now() - timedelta(days=self._keep_days))

        return await self._database.run(work)

    def _redacted(self, text: str | None) -> str | None:
        if text is None or not text.strip():
            return None
        if len(text) > _TEXT:
            raise InvalidError(f"text must have at most {_TEXT} characters", param="text")
        return self._redactor.text(text.strip())

    async def _unread(self) -> Sequence[UnreadText]:
        async with self._database.transaction(read_only=True) as session:
            return await self._repository.unread(session, limit=_READ_AT_ONCE)

    async def _keep(self, texts: Sequence[UnreadText], sentiments: Sequence[Decimal | None]) -> None:
        async with self._database.transaction() as session:
            await self._repository.keep_sentiment(session, texts, sentiments, model=self._sentiment.name)

    async def _satisfaction(self, question: Question, by: SatisfactionBy) -> InsightResult:
        asked = complete_range(question, "day", now=self._clock.now(), count=RATED_DAYS)
        span, feature = asked.range, asked.filters.feature
        async with self._database.reading(isolation="REPEATABLE READ") as session:
            uses = await self._repository.rated(session, start=span.start, end=span.end, feature=feature)
        evidence = satisfaction_evidence(asked, by, uses=len(uses))
        if len(uses) < LEAST_RATED or len({use.subject_id for use in uses}) < LEAST_RATERS:
            return InsightResult(False, evidence, {})
        return InsightResult(True, evidence, await asyncio.to_thread(satisfaction_answer, uses, by))


def _checked(given: GivenFeedback) -> tuple[str, ...]:
    """Return the tags without repetitions.

    Raises:
        InvalidError: a field is invalid.
    """
    check_external_id(given.usage_key, param="usage_key")
    if not 1 <= given.score <= 5:
        raise InvalidError("score must be a whole number from 1 (bad) to 5 (good)", param="score")
    if len(given.tags) > _TAGS:
        raise InvalidError(f"tags must be at most {_TAGS}", param="tags")
    for tag in given.tags:
        if not _TAG.fullmatch(tag):
            raise InvalidError("tags must be 1 to 50 characters of A-Z a-z 0-9 _ . : / - and spaces", param="tags")
        if is_credential(tag):
            raise InvalidError(f"tags: one {CREDENTIAL}", param="tags")
    return tuple(dict.fromkeys(given.tags))


def _bounded(value: Decimal | None) -> Decimal | None:
    return None if value is None else max(Decimal(-1), min(Decimal(1), value))
