"""Growth of the database from forecast requests. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.operations.capacity.values import FullDates

__all__ = ["full_dates"]

_LONGEST_DAYS = 3650
_LAST = 7
_DAY = timedelta(days=1)


def full_dates(answer: Mapping[str, Any], limit_bytes: int) -> FullDates | None:
    """Return when the database reaches `limit_bytes`; None if its growth is not known.

    Each forecast day adds its requests times the bytes of a request. After the forecast, its last seven days go on.

    Args:
        answer: the answer of a kept capacity result.
    """
    points: Sequence[Mapping[str, Any]] = answer.get("growth") or ()
    if not points:
        return None
    per_request, size = Decimal(answer["bytes_per_request"]), int(answer["bytes"])
    begins = datetime.fromisoformat(points[0]["period"])
    left = limit_bytes - size
    expected, early, late = (
        _days([Decimal(point[name]) * per_request for point in points], left)
        for name in ("expected", "high80", "low80")
    )
    dates = [begins + days * _DAY if days is not None else None for days in (expected, early, late)]
    return FullDates(limit_bytes, size, dates[0], dates[1], dates[2], expected)


def _days(growth: Sequence[Decimal], left: int) -> int | None:
    """Return in how many days `left` bytes are used; None if not within ten years."""
    if left <= 0:
        return 0
    total = Decimal(0)
    for number, added in enumerate(growth, start=1):
        total += max(Decimal(0), added)
        if total >= left:
            return number
    last = growth[-_LAST:]
    pace = sum((max(Decimal(0), added) for added in last), Decimal(0)) / len(last)
    if pace <= 0:
        return None
    days = len(growth) + int(-(-(left - total) // pace))
    return days if days <= _LONGEST_DAYS else None
