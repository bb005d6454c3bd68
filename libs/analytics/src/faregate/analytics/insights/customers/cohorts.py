"""Cohorts: who came when, who came back, who got started. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from faregate.analytics.insights.customers.values import UserActivity

__all__ = ["LEAST_COHORT", "Cohort", "cohorts_of"]

LEAST_COHORT = 10
"""Cohorts with fewer users are left out: their fractions would be chance."""

_ACTIVATION_DAYS, _ACTIVATION_TIMES = 7, 2


@dataclass(frozen=True, slots=True)
class Cohort:
    """The users whose first active day lies in one period.

    Attributes:
        active: how many of them were active in the period itself, the next one, and so on; complete periods only.
        activated: the fraction that was active on at least two days of its first seven; None until all had seven days.
    """

    period: datetime
    users: int
    active: tuple[int, ...]
    activated: Decimal | None

    @property
    def retention(self) -> tuple[Decimal, ...]:
        """`active` as fractions of the users."""
        return tuple((Decimal(count) / self.users).quantize(Decimal("0.0001")) for count in self.active)


def cohorts_of(
    users: Sequence[UserActivity], days: Sequence[datetime], periods: Sequence[datetime]
) -> tuple[Sequence[Cohort], int]:
    """Return the cohorts of complete `periods`, the oldest first, and how many were too small.

    The first period has no cohort: its users may be older than the data. `days` are the starts of all days, and of the day
    after the last; `periods` those of all periods, and the end of the last.
    """
    period_of = [bisect_right(periods, day) - 1 for day in days]
    members: dict[int, list[UserActivity]] = {}
    for user in users:
        members.setdefault(period_of[user.first_day], []).append(user)
    wanted = [place for place in range(1, len(periods) - 1) if place in members]
    large = [place for place in wanted if len(members[place]) >= LEAST_COHORT]
    found = [_cohort(place, members[place], period_of, periods, len(days) - 1) for place in large]
    return found, len(wanted) - len(large)


def _cohort(
    place: int, members: Sequence[UserActivity], period_of: Sequence[int], periods: Sequence[datetime], today: int
) -> Cohort:
    active = [0] * (len(periods) - 1 - place)
    for user in members:
        for period in {period_of[day] for day in user.days}:
            if period - place < len(active):
                active[period - place] += 1
    return Cohort(periods[place], len(members), tuple(active), _activated(members, today))


def _activated(members: Sequence[UserActivity], today: int) -> Decimal | None:
    if any(user.first_day + _ACTIVATION_DAYS > today for user in members):
        return None
    started = sum(
        1
        for user in members
        if sum(1 for day in user.days if day < user.first_day + _ACTIVATION_DAYS) >= _ACTIVATION_TIMES
    )
    return (Decimal(started) / len(members)).quantize(Decimal("0.0001"))
