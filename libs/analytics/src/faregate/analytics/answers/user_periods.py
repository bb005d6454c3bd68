"""Ranking of users by day, week or month."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Literal

from faregate.analytics.answers.service import AnalyticsService, TopBy
from faregate.analytics.question.calendar import periods_of
from faregate.analytics.question.filters import Question
from faregate.analytics.values import TopUser
from faregate.core.errors import InvalidError

__all__ = ["UserPeriod", "UserPeriods"]

_PERIODS_LIMIT = 100


@dataclass(frozen=True, slots=True)
class UserPeriod:
    """The usage of one user in one period; the first and last periods are cut at the bounds of the range."""

    period: datetime
    user: TopUser


class UserPeriods:
    """Queries each period separately, so that the sums of users by day and month can be used."""

    def __init__(self, analytics: AnalyticsService) -> None:
        self._analytics = analytics

    async def users(
        self,
        question: Question,
        unit: Literal["day", "week", "month"],
        *,
        by: TopBy = "requests",
        limit: int = 100,
    ) -> Sequence[UserPeriod]:
        """Return the top users of each period, the earliest period first; at most `limit` users in each.

        Raises:
            InvalidError: the range has more than 100 periods.
        """
        span = question.range
        starts = periods_of(span, unit)
        if len(starts) > _PERIODS_LIMIT:
            raise InvalidError(f"{len(starts)} periods; request at most {_PERIODS_LIMIT} at once", param="startDate")
        found: list[UserPeriod] = []
        for start, end in pairwise([*starts, span.end]):
            part = replace(span, start=max(start, span.start), end=min(end, span.end))
            users = await self._analytics.top_users(replace(question, range=part), by=by, limit=limit)
            found += [UserPeriod(start, user) for user in users]
        return found
