"""Calendar periods: in every time zone each moment is in exactly one period."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import get_args

import pytest

from faregate.analytics.question.calendar import LongUnit, Unit, next_period, period_at, periods_of
from faregate.analytics.question.filters import TimeRange
from faregate.core.values.time_zones import known_time_zones, time_zone

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
SAMPLES = [BEGIN + timedelta(hours=6 * n) for n in range(2 * 365 * 4)]


@cache
def _distinct_zones() -> tuple[str, ...]:
    """Return one IANA zone for each set of clock changes in 2026 and 2027; the other zones differ only by name."""
    found: dict[tuple[timedelta | None, ...], str] = {}
    for name in sorted(known_time_zones() - {"Factory"}):
        zone = time_zone(name)
        course = tuple(moment.astimezone(zone).utcoffset() for moment in SAMPLES)
        found.setdefault(course, name)
    return tuple(found.values())


def test_many_zones_are_tested() -> None:
    assert len(_distinct_zones()) > 60
    assert {"America/Havana", "Australia/Lord_Howe", "America/Vancouver"} <= known_time_zones()


@pytest.mark.parametrize("unit", [unit for unit in get_args(LongUnit) if unit != "hour"])
def test_no_gap_and_no_overlap(unit: LongUnit) -> None:
    """A period lasts until the next one begins: its last moment is in it, the next moment is not, and its date is right."""
    for name in _distinct_zones():
        zone = time_zone(name)
        period = period_at(BEGIN, unit, zone)
        while period < END:
            following = next_period(period, unit, zone)
            assert period < following, (name, period)
            assert period_at(period, unit, zone) == period, (name, period)
            assert period_at(following - INSTANT, unit, zone) == period, (name, period)
            period = following


@pytest.mark.parametrize("year", [2026, 2027])
def test_no_gap_and_no_overlap_of_hours(year: int) -> None:
    """Hours are whole unless the clock changes by less than one hour, and begin at minute 00 unless the clock skips it."""
    for name in _distinct_zones():
        zone = time_zone(name)
        span = TimeRange(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC), name)
        hours = periods_of(span, "hour")
        odd = [(first, second) for first, second in pairwise(hours) if second - first != timedelta(hours=1)]
        assert all(timedelta() < second - first < timedelta(hours=2) for first, second in odd), name
        assert not odd or name == "Australia/LHI", name
        assert len(odd) <= 4
        for first, second in [*odd, *zip(hours[::97], hours[1::97], strict=False)]:
            assert period_at(first, "hour", zone) == first, (name, first)
            assert period_at(second - INSTANT, "hour", zone) == first, (name, first)


@pytest.mark.parametrize("unit", get_args(Unit))
def test_the_sum_of_a_series_is_the_total(unit: Unit) -> None:
    """Every moment of any range is in exactly one of its periods."""
    start = datetime(2026, 3, 7, 13, 29, tzinfo=UTC)
    end = datetime(2026, 5, 9, 7, 1, tzinfo=UTC) if unit == "quarter-hour" else datetime(2027, 4, 9, 7, 1, tzinfo=UTC)
    for name in _distinct_zones():
        zone = time_zone(name)
        span = TimeRange(start, end, name)
        periods = periods_of(span, unit)
        assert list(periods) == sorted(set(periods)), name
        step = (span.end - span.start) / 311
        for n in range(311):
            moment = span.start + n * step
            place = bisect_right(periods, moment)
            assert place > 0, (name, moment)
            assert period_at(moment, unit, zone) == periods[place - 1], (name, moment)


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        pytest.param("America/Havana", (2026, 11, 1), (2026, 11, 1, 4), id="midnight comes twice: the first one"),
        pytest.param("America/Asuncion", (2026, 1, 5), (2026, 1, 5, 3), id="a zone that gave up its summer time"),
        pytest.param("Asia/Beirut", (2026, 3, 29), (2026, 3, 28, 22), id="midnight is skipped"),
        pytest.param("America/Vancouver", (2026, 11, 15), (2026, 11, 15, 7), id="a zone that kept its summer time"),
    ],
)
def test_a_day_begins(zone: str, day: tuple[int, int, int], begins: tuple[int, int, int, int]) -> None:
    noon = datetime(*day, 12, tzinfo=time_zone(zone))

    assert period_at(noon, "day", time_zone(zone)) == datetime(*begins, tzinfo=UTC)
