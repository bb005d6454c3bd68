"""Numbers, changes and dates as a mail shows them. Pure."""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from faregate.analytics.question.filters import TimeRange
from faregate.analytics.quotas.wording import plain
from faregate.core.values.time_zones import time_zone

__all__ = ["DASH", "change", "day_of", "money", "percent", "rounded", "span_of", "whole"]

DASH = "\u2013"
"""A dash: between two days, and where there is no value, such as a change without a base."""

_CENT = Decimal("0.01")
_TENTH = Decimal("0.1")


def whole(number: int) -> str:
    """Return a count with separated thousands."""
    return f"{number:,}"


def rounded(amount: Decimal) -> str:
    """Return an amount with two decimals, zero without; what is smaller than the last of them is not shown as zero."""
    if 0 < abs(amount) < _CENT:
        return "<0.01" if amount > 0 else ">-0.01"
    return f"{amount.quantize(_CENT, ROUND_HALF_UP):,f}" if amount else "0"


def money(amount: Decimal) -> str:
    """Return an amount of US dollars with two decimals."""
    if 0 < abs(amount) < _CENT:
        return "<0.01 USD" if amount > 0 else ">-0.01 USD"
    return f"{amount.quantize(_CENT, ROUND_HALF_UP):,f} USD"


def percent(rate: Decimal | None) -> str:
    """Return a rate from 0 to 1 as percent, to a hundredth."""
    return DASH if rate is None else f"{plain((rate * 100).quantize(_CENT, ROUND_HALF_UP))} %"


def change(now: Decimal | int, before: Decimal | int) -> str:
    """Return the change since the period before, in percent with its sign; a dash without a base."""
    if before == 0:
        return DASH
    part = (Decimal(now) - Decimal(before)) / abs(Decimal(before)) * 100
    shown = part.quantize(_TENTH, ROUND_HALF_UP)
    return f"{shown:+,f} %" if shown else "±0 %"


def day_of(moment: datetime, zone: ZoneInfo) -> str:
    """Return the day of a moment, such as `Mon 16 Nov`."""
    local = moment.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b}"


def span_of(period: TimeRange) -> str:
    """Return whole days, the last one included, such as `16 Nov 2026`, `November 2026`, or two days with a dash between them."""
    zone = time_zone(period.timezone)
    first = period.start.astimezone(zone).date()
    end = period.end.astimezone(zone).date()
    last = end - timedelta(days=1)
    if first == last:
        return f"{first.day} {first:%b %Y}"
    if first.day == end.day == 1 and (end - first).days <= 31:
        return f"{first:%B %Y}"
    if first.year != last.year:
        return f"{first.day} {first:%b %Y} {DASH} {last.day} {last:%b %Y}"
    begins = f"{first.day}" if first.month == last.month else f"{first.day} {first:%b}"
    return f"{begins} {DASH} {last.day} {last:%b %Y}"
