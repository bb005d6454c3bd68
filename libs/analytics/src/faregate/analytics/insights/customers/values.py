"""Values of customer insights: activity, feature users, subscriptions."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

__all__ = ["RECENT_DAYS", "FeatureUsers", "Subscription", "UserActivity", "UserSums"]

RECENT_DAYS = 28
"""Four weeks: each day of the week counts the same."""


@dataclass(frozen=True, slots=True)
class UserSums:
    """What a user used in some days."""

    requests: int
    errors: int
    tokens: int
    credits: Decimal
    charged: Decimal
    cost_usd: Decimal

    @property
    def error_rate(self) -> Decimal:
        """The fraction of requests that failed; 0 without requests."""
        return (Decimal(self.errors) / self.requests).quantize(Decimal("0.0001")) if self.requests else Decimal(0)


@dataclass(frozen=True, slots=True)
class UserActivity:
    """One user's activity in the days of a range.

    Attributes:
        days: the active days, as numbers from 0 at the start of the range, ascending.
        whole, recent, before: sums of the range, of its last `RECENT_DAYS`, and of as many days before those.
    """

    subject_id: int
    days: tuple[int, ...]
    last_at: datetime
    whole: UserSums
    recent: UserSums
    before: UserSums

    @property
    def first_day(self) -> int:
        """The first active day."""
        return self.days[0]

    @property
    def last_day(self) -> int:
        """The last active day."""
        return self.days[-1]

    @property
    def usual_gap(self) -> float:
        """The mean number of days from one active day to the next; the whole history for a single day."""
        return (self.last_day - self.first_day) / max(1, len(self.days) - 1)


@dataclass(frozen=True, slots=True)
class FeatureUsers:
    """The users of one feature in the recent days, and in the days before; `repeated` used it on at least two recent days."""

    feature: str
    users: int
    users_before: int
    repeated: int


@dataclass(frozen=True, slots=True)
class Subscription:
    """A wallet's plan, and its balance in credits (held ones included)."""

    plan: str | None
    balance: Decimal
