"""Dimensions and time grains of rollups. Pure."""

from datetime import datetime, timedelta
from enum import IntEnum

__all__ = [
    "DIMENSION_OF",
    "Dimension",
    "Grain",
    "active_grains",
    "floor_to",
    "next_after",
    "sketch_grains",
    "sum_grains",
]


class Dimension(IntEnum):
    """The dimensions of sums, as numbered in the database."""

    TOTAL = 0
    SERVICE = 1
    MODEL = 2
    PROVIDER = 3
    FEATURE = 4
    ORGANIZATION = 5
    COUNTRY = 6
    DEVICE = 7
    STATUS = 8
    METER = 9


DIMENSION_OF = {
    "service": Dimension.SERVICE,
    "model": Dimension.MODEL,
    "provider": Dimension.PROVIDER,
    "feature": Dimension.FEATURE,
    "organization": Dimension.ORGANIZATION,
    "organization_id": Dimension.ORGANIZATION,
    "country": Dimension.COUNTRY,
    "device": Dimension.DEVICE,
    "status": Dimension.STATUS,
    "meter": Dimension.METER,
}
"""The dimension by the name of its filter or breakdown."""


class Grain(IntEnum):
    """The length of a bucket. Buckets begin at whole quarter-hours, hours, days, months and weeks (from Monday) of UTC.

    The numbers are identifiers without an order: a month does not consist of weeks.
    """

    QUARTER = 0
    HOUR = 1
    DAY = 2
    MONTH = 3
    WEEK = 4


_FROM_QUARTER = (Grain.QUARTER, Grain.HOUR, Grain.DAY, Grain.MONTH)
_FROM_HOUR, _FROM_DAY, _DAYS, _MONTHS = _FROM_QUARTER[1:], _FROM_QUARTER[2:], _FROM_QUARTER[2:3], _FROM_QUARTER[3:]


def sum_grains(dimension: Dimension) -> tuple[Grain, ...]:
    """Return the lengths of buckets, the shortest first, by which sums are kept; organisations may be many."""
    return {Dimension.TOTAL: _FROM_QUARTER, Dimension.ORGANIZATION: _FROM_DAY}.get(dimension, _FROM_HOUR)


def sketch_grains(dimension: Dimension) -> tuple[Grain, ...]:
    """Return the lengths of buckets, the shortest first, by which latencies are kept."""
    return _FROM_HOUR if dimension is Dimension.TOTAL else _DAYS


def active_grains(dimension: Dimension) -> tuple[Grain, ...]:
    """Return the lengths of buckets, the shortest first, by which active users are kept."""
    return _FROM_QUARTER if dimension is Dimension.TOTAL else _MONTHS


def floor_to(grain: Grain, moment: datetime) -> datetime:
    """Return the start of the bucket that contains `moment` (UTC)."""
    if grain is Grain.QUARTER:
        return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if grain is Grain.HOUR:
        return hour
    day = hour.replace(hour=0)
    if grain is Grain.WEEK:
        return day - timedelta(days=day.weekday())
    return day if grain is Grain.DAY else day.replace(day=1)


def next_after(grain: Grain, start: datetime) -> datetime:
    """Return the start of the bucket after the one that begins at `start`."""
    if grain is Grain.MONTH:
        return (start + timedelta(days=31)).replace(day=1)
    return start + _LENGTHS[grain]


_LENGTHS = {
    Grain.QUARTER: timedelta(minutes=15),
    Grain.HOUR: timedelta(hours=1),
    Grain.DAY: timedelta(days=1),
    Grain.WEEK: timedelta(days=7),
}
