"""Spending limits of pool members, users and API keys.

A limit caps what is spent in a period, no matter which wallet pays. It is checked together with the hold, under a lock
taken after the wallets. Uses that are already running are settled at any cost, so that spending can exceed a limit by what
a use cost beyond its hold; the next start is then refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from faregate.credit.errors import SpendingLimitError

__all__ = [
    "EVERY_MEMBER",
    "LimitPeriod",
    "LimitState",
    "check_limits",
    "key_scope",
    "member_scope",
    "period_end",
    "period_start",
    "user_scope",
]

EVERY_MEMBER = "*"


class LimitPeriod(StrEnum):
    """Length of a limit's period; in UTC, weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(slots=True)
class LimitState:
    """One locked limit, in micro-credits. `soft` only warns, `hard` refuses; None for no such bound."""

    scope: str
    period: LimitPeriod
    soft: int | None
    hard: int | None
    started_at: datetime
    spent: int = 0
    held: int = 0

    def roll(self, now: datetime) -> None:
        """Start a new period if the current one has passed. Open holds stay: they count in the period that settles them."""
        started = period_start(self.period, now)
        if started > self.started_at:
            self.started_at, self.spent = started, 0


def check_limits(limits: Iterable[LimitState], amount: int) -> list[str]:
    """Return the scopes whose soft bound would be exceeded by `amount` more.

    Raises:
        SpendingLimitError: a hard bound would be exceeded, or is already reached. Spending exactly up to it is allowed.
    """
    warned: list[str] = []
    for limit in limits:
        used = limit.spent + limit.held
        if limit.hard is not None and (used + amount > limit.hard or used >= limit.hard):
            raise SpendingLimitError(
                scope=limit.scope.partition(":")[0],
                period=limit.period.value,
                limit_micros=limit.hard,
                used_micros=used,
                required_micros=amount,
            )
        if limit.soft is not None and used + amount > limit.soft:
            warned.append(limit.scope)
    return warned


def period_start(period: LimitPeriod, now: datetime) -> datetime:
    """Return when the period that contains `now` (in UTC) began."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if period is LimitPeriod.DAY:
        return day
    if period is LimitPeriod.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period is LimitPeriod.MONTH else day.replace(year=1970, month=1, day=1)


def period_end(period: LimitPeriod, started: datetime) -> datetime | None:
    """Return when the period that began at `started` ends; None for the total, which has no end."""
    if period is LimitPeriod.TOTAL:
        return None
    longest = {LimitPeriod.DAY: 1, LimitPeriod.WEEK: 7, LimitPeriod.MONTH: 31}
    return period_start(period, started + timedelta(days=longest[period]))


def member_scope(organization: int, member: int | str = EVERY_MEMBER) -> str:
    """Return the scope of one member of a pool, or of all members without a limit of their own."""
    return f"member:{organization}:{member}"


def user_scope(user: int) -> str:
    """Return the scope of one user, no matter which wallet pays."""
    return f"user:{user}"


def key_scope(key_id: str) -> str:
    """Return the scope of one API key: what is spent by calls made with it."""
    return f"key:{key_id}"
