"""Values of feedback."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

__all__ = ["Feedback", "FeedbackFilter", "GivenFeedback", "RatedUse", "SatisfactionBy", "UnreadText"]

SatisfactionBy = Literal["feature", "model", "price"]


@dataclass(frozen=True, slots=True)
class GivenFeedback:
    """What a user says about one use.

    Attributes:
        score: 1 (bad) to 5 (good); thumbs are 1 and 5.
        text: redacted before it is stored.
    """

    usage_key: str
    score: int
    tags: tuple[str, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """Stored feedback. `sentiment` is from -1 to 1, by the host's model `sentiment_by`."""

    usage_key: str
    user_id: str
    feature_key: str
    score: int
    tags: tuple[str, ...]
    text: str | None
    sentiment: Decimal | None
    sentiment_by: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class FeedbackFilter:
    """Filters of feedback; None means any value. `before` is the position after which a page begins."""

    feature: str | None = None
    user_id: str | None = None
    usage_key: str | None = None
    most_score: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
    before: tuple[datetime, str] | None = None


@dataclass(frozen=True, slots=True)
class RatedUse:
    """One use with its score, as satisfaction is computed from it.

    Attributes:
        models: by which it was made; several count for each.
        cost_usd: None if a call has no price.
    """

    subject_id: int
    score: int
    sentiment: Decimal | None
    tags: Sequence[str]
    feature: str
    models: Sequence[str]
    credits: Decimal
    cost_usd: Decimal | None
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class UnreadText:
    """A text without a sentiment, as the sentiment model gets it; the rest identifies its row."""

    usage_key: str
    subject_id: int
    updated_at: datetime
    text: str
