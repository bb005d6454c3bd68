"""Periods, alert levels and predictions, without a database."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faregate.analytics.quotas.levels import Level, Thresholds, level_of, levels_reached, percent_used
from faregate.analytics.quotas.periods import QuotaPeriod, Window, check_timezone, window_at
from faregate.analytics.quotas.prediction import predict
from faregate.core.errors import InvalidError

NORMAL = Thresholds()
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"]
moments = st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("used", "level"),
    [(0, None), (74, None), (75, Level.WARNING), (89, Level.WARNING), (90, Level.CRITICAL), (100, Level.EXCEEDED)],
)
def test_a_quota_of_100_warns_at_75_90_and_100(used: int, level: Level | None) -> None:
    assert level_of(Decimal(used), Decimal(100), NORMAL) == level


def test_any_use_of_a_limit_of_0_exceeds_it_and_none_does_not() -> None:
    assert level_of(Decimal("0.000001"), Decimal(0), NORMAL) is Level.EXCEEDED
    assert levels_reached(Decimal(0), Decimal(0), NORMAL) == ()
    assert percent_used(Decimal(5), Decimal(0)) is None


@given(
    limit=st.decimals("0.000001", 10**12, places=6), percent=st.sampled_from([Decimal(75), Decimal(90), Decimal(100)])
)
def test_levels_are_exact_at_the_edge_for_any_limit(limit: Decimal, percent: Decimal) -> None:
    """75 % of a third is exactly 75 %: rounding suppresses no alert."""
    edge, grain = limit * percent / 100, Decimal("0.00000001")
    level = {name for name, threshold in NORMAL.items() if threshold == percent}.pop()

    assert level_of(edge, limit, NORMAL) is level
    assert level not in levels_reached(edge - grain, limit, NORMAL)


@pytest.mark.parametrize("wrong", [(90, 75, 100), (0, 50, 100), (75, 75, 100), (75, 90, 80)])
def test_thresholds_that_do_not_ascend_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidError, match="ascending"):
        Thresholds(*map(Decimal, wrong))


@given(moment=moments, period=st.sampled_from(list(QuotaPeriod)), zone=st.sampled_from(ZONES))
def test_every_moment_lies_in_one_period_and_periods_follow_without_a_gap(
    moment: datetime, period: QuotaPeriod, zone: str
) -> None:
    window = window_at(period, moment, zone)

    assert moment in window
    assert window_at(period, window.start, zone) == window
    assert window_at(period, window.end, zone).start == window.end
    assert window_at(period, window.start - timedelta(microseconds=1), zone).end == window.start
    assert period is QuotaPeriod.HOUR or window.start.astimezone(ZoneInfo(zone)).hour in (0, 1)


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (QuotaPeriod.HOUR, utc(2026, 5, 14, 10), utc(2026, 5, 14, 11)),
        (QuotaPeriod.DAY, utc(2026, 5, 14), utc(2026, 5, 15)),
        (QuotaPeriod.WEEK, utc(2026, 5, 11), utc(2026, 5, 18)),
        (QuotaPeriod.MONTH, utc(2026, 5, 1), utc(2026, 6, 1)),
        (QuotaPeriod.QUARTER, utc(2026, 4, 1), utc(2026, 7, 1)),
        (QuotaPeriod.YEAR, utc(2026, 1, 1), utc(2027, 1, 1)),
    ],
)
def test_periods_are_those_of_the_calendar(period: QuotaPeriod, start: datetime, end: datetime) -> None:
    assert window_at(period, utc(2026, 5, 14, 10, 30)) == Window(start, end)


def test_a_month_ends_in_the_time_zone_of_the_quota() -> None:
    """31 January 23:30 UTC is February in Kolkata."""
    window = window_at(QuotaPeriod.MONTH, utc(2026, 1, 31, 23, 30), "Asia/Kolkata")

    assert window == Window(utc(2026, 1, 31, 18, 30), utc(2026, 2, 28, 18, 30))


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 1), 24)])
def test_a_day_with_a_clock_change_has_23_or_25_hours(day: tuple[int, int, int], hours: int) -> None:
    assert window_at(QuotaPeriod.DAY, utc(*day, 12), "Europe/Berlin").length == timedelta(hours=hours)


@pytest.mark.parametrize("name", ["", "Mars/Phobos", "../etc/passwd", "Europe/berlin "])
def test_an_unknown_time_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidError, match="IANA"):
        check_timezone(name)


MARCH = Window(utc(2026, 3, 1), utc(2026, 3, 31))


def test_a_steady_use_runs_out_at_the_linear_date() -> None:
    """10 a day, 200 allowed: used up on the 21st, for every period of measurement."""
    found = predict(MARCH, utc(2026, 3, 11), used=Decimal(100), recent=Decimal(25), limit=Decimal(200))

    assert found is not None
    assert found.runs_out_at == found.earliest_at == found.latest_at == utc(2026, 3, 21)
    assert (found.per_day, found.projected) == (Decimal(10), Decimal(300))


def test_a_rising_use_runs_out_within_the_range_of_both_paces() -> None:
    found = predict(MARCH, utc(2026, 3, 9), used=Decimal(80), recent=Decimal(40), limit=Decimal(200))

    assert found is not None
    assert found.earliest_at is not None
    assert found.runs_out_at is not None
    assert found.latest_at is not None
    assert utc(2026, 3, 9) < found.earliest_at < found.runs_out_at < found.latest_at < MARCH.end


def test_a_use_that_stays_below_never_runs_out() -> None:
    found = predict(MARCH, utc(2026, 3, 11), used=Decimal(10), recent=Decimal(2), limit=Decimal(200))

    assert found is not None
    assert found.runs_out_at is None


def test_a_used_up_quota_has_run_out_now() -> None:
    now = utc(2026, 3, 11)
    found = predict(MARCH, now, used=Decimal(200), recent=Decimal(0), limit=Decimal(200))

    assert found is not None
    assert found.runs_out_at == now


@pytest.mark.parametrize("now", [utc(2026, 3, 1, 1), utc(2026, 3, 1), utc(2026, 4, 1)])
def test_too_early_or_too_late_there_is_no_prediction(now: datetime) -> None:
    assert predict(MARCH, now, used=Decimal(50), recent=Decimal(50), limit=Decimal(200)) is None


@given(
    used=st.decimals("0.01", 10**9, places=2),
    share=st.decimals(0, 1, places=3),
    limit=st.decimals(0, 10**9, places=2),
    hours=st.integers(37, 719),
)
def test_predictions_are_ordered_and_inside_the_period(
    used: Decimal, share: Decimal, limit: Decimal, hours: int
) -> None:
    now = MARCH.start + timedelta(hours=hours)
    found = predict(MARCH, now, used=used, recent=used * share, limit=limit)

    assert found is not None
    known = [at for at in (found.earliest_at, found.runs_out_at, found.latest_at) if at is not None]
    assert known == sorted(known)
    assert all(now <= at < MARCH.end for at in known)
    assert (found.runs_out_at is not None) == (found.projected > limit) or abs(found.projected - limit) < 1
