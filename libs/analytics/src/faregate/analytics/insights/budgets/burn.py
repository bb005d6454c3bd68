"""Burn and outlook of a budget. Pure."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from faregate.analytics.insights.budgets.values import BudgetOutlook
from faregate.analytics.insights.forecasting.values import ForecastPoint
from faregate.analytics.quotas.periods import Window

__all__ = ["LEAST_ELAPSED", "burn_rate", "elapsed_share", "outlook_of"]

LEAST_ELAPSED = Decimal("0.02")
"""Before this fraction of a period has passed, its pace says nothing."""

_RATE = Decimal("0.0001")
_NOTHING = Decimal(0)


def elapsed_share(window: Window, now: datetime) -> Decimal:
    """Return the fraction of the period that has passed."""
    passed = (now - window.start) // timedelta(seconds=1)
    return (Decimal(passed) / (window.length // timedelta(seconds=1))).quantize(_RATE)


def burn_rate(used: Decimal, amount: Decimal, elapsed: Decimal) -> Decimal | None:
    """Return the used fraction of the amount divided by the elapsed fraction of the period; None at its beginning."""
    return (used / amount / elapsed).quantize(_RATE) if elapsed >= LEAST_ELAPSED else None


def outlook_of(
    points: Sequence[ForecastPoint], window: Window, amount: Decimal, *, complete: Decimal, running: Decimal
) -> BudgetOutlook:
    """Return the outlook of a period.

    Args:
        points: the forecast of the running day (or month) and those after it.
        complete: what was used in the complete ones before.
        running: what was used in the running one so far; its forecast is never less.
    """
    ahead = [point for point in points if point.period < window.end]
    expected, low, high = (_course(ahead, end, complete, running) for end in (_expected, _low, _high))
    return BudgetOutlook(
        expected[-1],
        low[-1],
        high[-1],
        *(_reached(ahead, course, amount) for course in (expected, high, low)),
    )


def _expected(point: ForecastPoint) -> Decimal:
    return point.expected


def _low(point: ForecastPoint) -> Decimal:
    return point.low80


def _high(point: ForecastPoint) -> Decimal:
    return point.high80


def _course(
    points: Sequence[ForecastPoint], end: Callable[[ForecastPoint], Decimal], complete: Decimal, running: Decimal
) -> list[Decimal]:
    """Return the use of the period at the end of each point."""
    total, found = complete, list[Decimal]()
    for number, point in enumerate(points):
        total += max(end(point), running if number == 0 else _NOTHING)
        found.append(total)
    return found or [complete + running]


def _reached(points: Sequence[ForecastPoint], course: Sequence[Decimal], amount: Decimal) -> datetime | None:
    return next((point.period for point, used in zip(points, course, strict=False) if used > amount), None)
