"""Churn risk: who is likely gone, and what changed before. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from faregate.analytics.insights.customers.lifetime_model import Repeats, fit_lifetimes
from faregate.analytics.insights.customers.values import RECENT_DAYS, UserActivity

__all__ = ["LEAST_REPEATERS", "ChurnCheck", "ChurnRisk", "churn_check", "churn_risks", "repeaters"]

LEAST_REPEATERS = 50
"""How many users with at least two active days the model needs."""

_RATE = Decimal("0.0001")
_LATE, _FEWER, _MORE_ERRORS = 2.0, Decimal("0.5"), Decimal("0.05")


@dataclass(frozen=True, slots=True)
class ChurnRisk:
    """One user.

    Attributes:
        risk: the chance that the user is gone for good.
        expected_days: how many active days are expected in the next 28.
        reasons: what changed, in words.
    """

    user: UserActivity
    risk: Decimal
    expected_days: Decimal
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChurnCheck:
    """The test of the model on the last 28 days, which it did not know.

    Attributes:
        ranked: the chance that of two users the one that stayed away had the higher risk; 0.5 is guessing.
        expected, came: active days, as the model expected them and as they were.
    """

    users: int
    ranked: Decimal
    expected: Decimal
    came: int


def repeaters(users: Sequence[UserActivity]) -> list[UserActivity]:
    """Return the users with at least two active days."""
    return [user for user in users if len(user.days) > 1]


def churn_risks(users: Sequence[UserActivity], today: int, balances: dict[int, Decimal]) -> list[ChurnRisk]:
    """Return the risk of each user with at least two active days, the highest first; `today` is the number of days."""
    known = [user for user in users if user.last_day < today]
    model = fit_lifetimes(repeats_of(known, today))
    wanted = repeaters(known)
    repeats = repeats_of(wanted, today)
    alive, ahead = model.chance_alive(repeats), model.expected_repeats(repeats, RECENT_DAYS)
    found = [
        ChurnRisk(
            user,
            Decimal(str(1 - float(chance))).quantize(_RATE),
            Decimal(str(float(days))).quantize(_RATE),
            tuple(_reasons(user, today, balances.get(user.subject_id))),
        )
        for user, chance, days in zip(wanted, alive, ahead, strict=True)
    ]
    return sorted(found, key=lambda each: (-each.risk, each.user.subject_id))


def churn_check(users: Sequence[UserActivity], today: int) -> ChurnCheck | None:
    """Return the test on the last 28 days; None if too few users were known before."""
    before = today - RECENT_DAYS
    known = [user for user in users if user.first_day < before]
    past = [tuple(day for day in user.days if day < before) for user in known]
    if sum(1 for days in past if len(days) > 1) < LEAST_REPEATERS:
        return None
    model = fit_lifetimes(_repeats(past, before))
    tested = [(days, len(user.days) - len(days)) for days, user in zip(past, known, strict=True) if len(days) > 1]
    repeats = _repeats([days for days, _ in tested], before)
    came = [count for _, count in tested]
    expected = model.expected_repeats(repeats, RECENT_DAYS)
    return ChurnCheck(
        len(tested),
        _ranked([1 - float(chance) for chance in model.chance_alive(repeats)], [count == 0 for count in came]),
        Decimal(str(float(expected.sum()))).quantize(Decimal("0.1")),
        sum(came),
    )


def repeats_of(users: Sequence[UserActivity], today: int) -> Repeats:
    """Return the repeat days of users up to the last complete day."""
    return _repeats([user.days for user in users], today)


def _repeats(days: Sequence[Sequence[int]], today: int) -> Repeats:
    return Repeats(
        [float(len(each) - 1) for each in days],
        [float(each[-1] - each[0]) for each in days],
        [float(today - each[0]) for each in days],
    )


def _ranked(risks: Sequence[float], gone: Sequence[bool]) -> Decimal:
    """Return the area under the ROC curve, by ranks; equal risks count half."""
    order = sorted(range(len(risks)), key=lambda place: risks[place])
    ranks = [0.0] * len(risks)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and risks[order[end]] == risks[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + end + 1) / 2
        start = end
    left = sum(gone)
    stayed = len(gone) - left
    if not left or not stayed:
        return Decimal("0.5")
    total = sum(rank for rank, is_gone in zip(ranks, gone, strict=True) if is_gone)
    return Decimal(str((total - left * (left + 1) / 2) / (left * stayed))).quantize(_RATE)


def _reasons(user: UserActivity, today: int, balance: Decimal | None) -> list[str]:
    silent, found = today - 1 - user.last_day, list[str]()
    if silent >= 1 and silent > _LATE * user.usual_gap:
        found.append(f"silent for {silent} days; came every {user.usual_gap:.1f} days before")
    if user.before.requests > 0 and user.recent.requests < _FEWER * user.before.requests:
        found.append(
            f"{user.recent.requests} requests in the last {RECENT_DAYS} days, {user.before.requests} in those before"
        )
    rate = user.recent.error_rate if user.recent.requests else user.before.error_rate
    if rate >= _MORE_ERRORS:
        found.append(f"{rate:.0%} of the last requests failed")
    if balance is not None and balance <= 0:
        found.append("no credits left")
    return found
