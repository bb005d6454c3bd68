"""Pace of use by day of the week, and its range. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from faregate.analytics.insights.run_outs.values import DailyUse

__all__ = ["LEAST_DAYS", "UsePace", "pace_of"]

LEAST_DAYS = 14
"""How many days of history a pace needs, from the first use on."""

_WEEKS, _AHEAD = 4, 7
_CREDIT = Decimal("0.000001")
_LEAST_TESTS = 5


@dataclass(frozen=True, slots=True)
class UsePace:
    """Expected credits by weekday (0 is Monday) and feature.

    Attributes:
        slow, fast: factors of the pace that held 80 % of the weeks in a test on the past; None if it was too short.
        tests: how many weeks were tested.
        left_out: days that did not count, because a limit or an empty wallet ended them early.
    """

    by_weekday: Sequence[dict[str, Decimal]]
    slow: Decimal | None
    fast: Decimal | None
    tests: int
    left_out: int

    def on(self, day: date, factor: Decimal = Decimal(1)) -> dict[str, Decimal]:
        """Return the expected credits of a day by feature."""
        return {feature: credits * factor for feature, credits in self.by_weekday[day.weekday()].items()}


def pace_of(use: DailyUse, today: date, cut_short: Collection[date] = ()) -> UsePace | None:
    """Return the mean of each weekday in the last four weeks, `today` excluded; None with too little history.

    Days that were cut short are left out: they say how much was allowed, not how much was wanted.
    """
    if not use.days or (today - min(use.days)).days < LEAST_DAYS:
        return None
    weekdays = [_weekday_mean(use, today, weekday, cut_short) for weekday in range(7)]
    ratios = sorted(_ratios(use, today, cut_short))
    known = len(ratios) >= _LEAST_TESTS
    start = max(min(use.days), today - timedelta(weeks=_WEEKS))
    left_out = sum(1 for day in cut_short if start <= day < today)
    return UsePace(
        weekdays,
        _quantile(ratios, Decimal("0.1")) if known else None,
        _quantile(ratios, Decimal("0.9")) if known else None,
        len(ratios),
        left_out,
    )


def _weekday_mean(use: DailyUse, today: date, weekday: int, cut_short: Collection[date]) -> dict[str, Decimal]:
    days = [day for day in _days(use, today, cut_short) if day.weekday() == weekday]
    days = days or _days(use, today, cut_short)  # every such weekday was cut short: any day is closer than none
    sums: dict[str, Decimal] = {}
    for day in days:
        for feature, credits in use.days.get(day, {}).items():
            sums[feature] = sums.get(feature, Decimal(0)) + credits
    return {feature: (credits / len(days)).quantize(_CREDIT) for feature, credits in sums.items()}


def _days(use: DailyUse, today: date, cut_short: Collection[date]) -> list[date]:
    start = max(min(use.days), today - timedelta(weeks=_WEEKS))
    found = [start + timedelta(days=ahead) for ahead in range((today - start).days)]
    return [day for day in found if day not in cut_short] or found


def _ratios(use: DailyUse, today: date, cut_short: Collection[date]) -> list[Decimal]:
    """Return, for each past day with a week after it, what came in that week divided by what the pace then said."""
    first = min(use.days) + timedelta(days=LEAST_DAYS)
    origins = [first + timedelta(days=ahead) for ahead in range(max(0, (today - first).days - _AHEAD + 1))]
    found: list[Decimal] = []
    for origin in origins[-4 * _AHEAD :]:
        week = [origin + timedelta(days=ahead) for ahead in range(_AHEAD)]
        if any(day in cut_short for day in week):
            continue
        said = sum((use.total(day) for day in _days(use, origin, cut_short)), Decimal(0))
        daily = said / len(_days(use, origin, cut_short))
        if daily > 0:
            found.append(sum((use.total(day) for day in week), Decimal(0)) / (daily * _AHEAD))
    return found


def _quantile(values: Sequence[Decimal], share: Decimal) -> Decimal:
    place = int((len(values) - 1) * share + Decimal("0.5"))
    return values[place].quantize(Decimal("0.0001"))
