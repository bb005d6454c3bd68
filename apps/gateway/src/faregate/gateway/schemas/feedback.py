"""Bodies, queries and answers of feedback and satisfaction."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt

from faregate.analytics.insights.feedback.service import TAG_PATTERN
from faregate.analytics.insights.feedback.values import Feedback, FeedbackFilter, GivenFeedback, SatisfactionBy
from faregate.core.redaction.scrubbing import name_checked
from faregate.core.values.fields import AtMost, Body, ExternalId, Moment, Note, UserId
from faregate.gateway.schemas.base import Answer, PageQuery, position_of
from faregate.gateway.schemas.insights import CamelAnswer, InsightAnswer
from faregate.gateway.schemas.insights_query import InsightQuery

__all__ = [
    "FeedbackAnswer",
    "FeedbackBody",
    "FeedbackQuery",
    "SatisfactionAnswer",
    "SatisfactionQuery",
    "feedback_answer",
]

_Tag = Annotated[str, Field(pattern=TAG_PATTERN, examples=["wrong"]), AfterValidator(name_checked)]
_Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(name_checked)]
_Score = Annotated[StrictInt, Field(ge=1, le=5, examples=[4], description="1 (bad) to 5 (good); thumbs are 1 and 5")]


class FeedbackBody(Body):
    """`POST /api/feedback`: what the user of a use says about it."""

    usage_key: Annotated[ExternalId, Field(examples=["chat-1"])]
    score: _Score
    tags: Annotated[list[_Tag], AtMost(20)] = Field(default_factory=list[str])
    text: Note | None = None
    user_id: UserId | None = Field(default=None, description="of a server: must be the user of the use, if given")

    def given(self) -> GivenFeedback:
        """Return the feedback."""
        return GivenFeedback(self.usage_key, self.score, tuple(self.tags), self.text)


class FeedbackQuery(PageQuery):
    """Filters of feedback; `from` is included, `to` is excluded. `max_score`: only scores up to it."""

    feature_key: _Name | None = None
    user_id: _Name | None = None
    usage_key: _Name | None = None
    max_score: Annotated[int, Field(ge=1, le=5)] | None = None
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")

    def filter(self) -> FeedbackFilter:
        """Return the filters."""
        position = position_of(self.cursor, datetime, str)
        return FeedbackFilter(
            self.feature_key,
            self.user_id,
            self.usage_key,
            self.max_score,
            self.since,
            self.until,
            self.limit,
            (position[0], position[1]) if position else None,
        )


class FeedbackAnswer(Answer):
    """Feedback as it is stored: `text` is redacted. `sentiment` (-1 to 1) is the result of the host's model `sentiment_by`."""

    usage_key: str
    user_id: str
    feature_key: str
    score: int
    tags: list[str]
    text: str | None
    sentiment: Decimal | None
    sentiment_by: str | None
    created_at: datetime
    updated_at: datetime


class SatisfactionQuery(InsightQuery):
    """By what the scores are divided; `feature` is the only filter."""

    by: SatisfactionBy = "feature"


class TagAnswer(CamelAnswer):
    """A tag, and how many users gave it."""

    tag: str
    users: int


class RatedGroupAnswer(CamelAnswer):
    """Scores of 1 to 5 with their mean and its 95 % interval; `unhappy` is the fraction of scores of 1 and 2, with its interval."""

    feedback: int
    users: int
    score: Decimal
    low: Decimal
    high: Decimal
    unhappy: Decimal
    unhappy_low: Decimal
    unhappy_high: Decimal
    sentiment: Decimal | None
    tags: list[TagAnswer]


class NamedGroupAnswer(RatedGroupAnswer):
    """One feature, model or band of prices."""

    value: str


class CorrelationAnswer(CamelAnswer):
    """Spearman's rank correlation of the score with an amount, and its 95 % interval; null from too few uses."""

    with_: str = Field(alias="with")
    sample: int
    value: Decimal | None
    low: Decimal | None
    high: Decimal | None


class SatisfactionAnswer(InsightAnswer):
    """Scores of all feedback and of each large enough group, the least satisfied first; `leftOut` groups are too small."""

    by: str | None = None
    all: RatedGroupAnswer | None = None
    groups: list[NamedGroupAnswer] = Field(default_factory=list[NamedGroupAnswer])
    left_out: int | None = None
    correlations: list[CorrelationAnswer] = Field(default_factory=list[CorrelationAnswer])


def feedback_answer(feedback: Feedback) -> FeedbackAnswer:
    """Return stored feedback."""
    return FeedbackAnswer.of(feedback, tags=list(feedback.tags))
