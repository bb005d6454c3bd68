"""Controller of `/api/feedback` and `/api/analytics/satisfaction`."""

from faregate.analytics.insights.feedback.service import FeedbackService
from faregate.core.clock import IClock
from faregate.core.errors import InvalidError, MissingExtraError
from faregate.credit.errors import HoldMismatchError, UnknownUsageKeyError
from faregate.gateway.errors import ForbiddenError
from faregate.gateway.http.operation import Audit, Call, Controller, Page, link, operation
from faregate.gateway.http.personal import Personal
from faregate.gateway.schemas.base import cursor_of
from faregate.gateway.schemas.feedback import (
    FeedbackAnswer,
    FeedbackBody,
    FeedbackQuery,
    SatisfactionAnswer,
    SatisfactionQuery,
    feedback_answer,
)
from faregate.gateway.schemas.insights import insight_answer
from faregate.gateway.security.auth import Scope

__all__ = ["FeedbackController"]

_AT_ONCE = 4
"""Satisfaction with a filter is computed when it is first asked for, which takes seconds of a processor."""


class FeedbackController(Controller):
    """Feedback over HTTP: given by the user of a use or by a server, read by people with access to logs."""

    def __init__(self, feedback: FeedbackService, clock: IClock) -> None:
        self._feedback = feedback
        self._clock = clock

    @operation(
        "POST",
        "/api/feedback",
        scope=Scope.USAGE_WRITE,
        own="user_id",
        answer=FeedbackAnswer,
        status=201,
        idempotent=False,
        errors=(UnknownUsageKeyError, HoldMismatchError, ForbiddenError),
        links={"list": link("feedback.list_feedback", query={"usage_key": "usage_key"})},
    )
    async def give_feedback(self, call: Call, body: FeedbackBody) -> FeedbackAnswer:
        """Say how good a use was: a score from 1 to 5, tags, and a text, which is redacted before it is stored.

        People rate their own uses, servers any. There is one feedback for a use: giving it again replaces it.
        """
        person = call.principal.user_id
        if person is not None and body.user_id not in {None, person}:
            raise ForbiddenError("user_id must be your own id, or left out: you may rate your own uses only")
        stored = await self._feedback.give(body.given(), user_id=person or body.user_id, own=person is not None)
        return feedback_answer(stored)

    @operation(
        "GET",
        "/api/feedback",
        scope=Scope.LOGS_READ,
        answer=list[FeedbackAnswer],
        errors=(InvalidError,),
        audit=Audit.PERSONAL,
    )
    async def list_feedback(self, query: FeedbackQuery) -> Page:
        """List feedback with its texts, the latest first."""
        found = await self._feedback.feedback(query.filter())
        last = found[-1] if len(found) == query.limit else None
        cursor = cursor_of(last.updated_at, last.usage_key) if last is not None else None
        return Page([feedback_answer(each) for each in found], cursor)

    @operation(
        "GET",
        "/api/analytics/satisfaction",
        scope=Scope.ANALYTICS_READ,
        answer=SatisfactionAnswer,
        errors=(InvalidError, MissingExtraError),
        concurrency=_AT_ONCE,
        personal=Personal.NONE,
    )
    async def satisfaction(self, query: SatisfactionQuery) -> SatisfactionAnswer:
        """Return scores by feature, model or price of a use in the last 90 days, and their correlation with cost and latency.

        Groups of fewer than 20 scores, or of fewer than 5 users, are left out.
        """
        insight = await self._feedback.satisfaction(query.question(now=self._clock.now()), query.by)
        return insight_answer(SatisfactionAnswer, insight)
