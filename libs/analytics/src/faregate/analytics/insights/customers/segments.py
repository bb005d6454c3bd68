"""Segments by recency, frequency and money (RFM). Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from faregate.analytics.insights.customers.values import UserActivity

__all__ = ["LEAST_SEGMENTED", "RfmScore", "RfmSegment", "rfm_scores"]

LEAST_SEGMENTED = 25
"""Fewer users have no fifths."""


class RfmSegment(StrEnum):
    """Segments, in the order in which they are tried."""

    CHAMPIONS = "champions"
    LOYAL = "loyal"
    BIG_SPENDERS = "big_spenders"
    NEW = "new"
    AT_RISK = "at_risk"
    DORMANT = "dormant"
    REGULAR = "regular"


@dataclass(frozen=True, slots=True)
class RfmScore:
    """The fifth of a user in each respect, from 1 (least) to 5: how lately, on how many days, and for how many credits."""

    user: UserActivity
    recency: int
    frequency: int
    money: int

    @property
    def segment(self) -> RfmSegment:
        """The first segment whose rule holds."""
        return next(segment for segment, rule in _RULES if rule(self))


_RULES: Sequence[tuple[RfmSegment, Callable[[RfmScore], bool]]] = (
    (RfmSegment.CHAMPIONS, lambda score: min(score.recency, score.frequency, score.money) >= 4),
    (RfmSegment.LOYAL, lambda score: score.recency >= 3 and score.frequency >= 4),
    (RfmSegment.AT_RISK, lambda score: score.recency <= 2 and score.frequency >= 3),
    (RfmSegment.BIG_SPENDERS, lambda score: score.money == 5),
    (RfmSegment.NEW, lambda score: score.recency >= 4 and score.frequency <= 2),
    (RfmSegment.DORMANT, lambda score: score.recency <= 2),
    (RfmSegment.REGULAR, lambda _: True),
)


def rfm_scores(users: Sequence[UserActivity]) -> list[RfmScore]:
    """Return the scores of all users, in order. Equal values have equal scores."""
    recency = _fifths([float(user.last_day) for user in users])
    frequency = _fifths([float(len(user.days)) for user in users])
    money = _fifths([float(user.whole.credits) for user in users])
    return [RfmScore(*each) for each in zip(users, recency, frequency, money, strict=True)]


def _fifths(values: Sequence[float]) -> list[int]:
    """Return the fifth of each value by its rank, in the middle of equal ones."""
    order = sorted(values)
    count = len(order)
    return [
        min(5, int(5 * (bisect_left(order, value) + bisect_right(order, value)) / (2 * count)) + 1) for value in values
    ]
