"""Rules of forecasts: clock changes, holidays, months, rare use, intervals."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from faregate.analytics.insights.forecasting.back_test import bands_of, origins
from faregate.analytics.insights.forecasting.forecast import forecast_series, shortage
from faregate.analytics.insights.forecasting.local_grid import grid_of
from faregate.analytics.insights.forecasting.values import ForecastUnit, SeriesForecast
from faregate.analytics.insights.numeric import as_vector
from faregate.analytics.insights.series import periods_ahead
from faregate.core.values.time_zones import time_zone

BERLIN = "Europe/Berlin"


def forecast(
    start: datetime,
    unit: ForecastUnit,
    known: int,
    ahead: int,
    value: Callable[[datetime], int],
    *,
    timezone: str = "UTC",
    special: Sequence[date] = (),
) -> SeriesForecast:
    periods = periods_ahead(start, unit, timezone, known + ahead)
    zone = time_zone(timezone)
    values = [Decimal(value(period.astimezone(zone))) for period in periods[:known]]
    found = forecast_series(periods[:known], values, periods[known:], unit, zone, special=special)
    assert found is not None
    return found


def test_hours_keep_their_local_time_over_a_clock_change() -> None:
    """The clock goes forward on 29 March 2026 at 2:00: that day has 23 hours, and noon is an hour earlier in UTC."""
    start = datetime(2026, 2, 28, 23, tzinfo=UTC)
    found = forecast(start, "hour", 28 * 24, 47, lambda at: 100 if at.hour == 12 else 10, timezone=BERLIN)

    peaks = [point.period for point in found.points if point.expected > 50]
    assert peaks == [datetime(2026, 3, 29, 10, tzinfo=UTC), datetime(2026, 3, 30, 10, tzinfo=UTC)]


def test_an_hour_that_occurs_twice_is_averaged_and_a_skipped_one_lies_between_its_neighbours() -> None:
    autumn = periods_ahead(datetime(2026, 10, 25, tzinfo=UTC) - timedelta(hours=2), "hour", BERLIN, 25)[:-1]
    assert grid_of(autumn, [float(n) for n in range(25)], time_zone(BERLIN))[:5] == [0, 1, 2.5, 4, 5]
    spring = periods_ahead(datetime(2026, 3, 28, 23, tzinfo=UTC), "hour", BERLIN, 23)[:-1]
    assert grid_of(spring, [float(n) for n in range(23)], time_zone(BERLIN))[:5] == [0, 1, 1.5, 2, 3]


def test_a_holiday_is_forecast_by_past_ones_and_teaches_nothing_about_other_days() -> None:
    special = [date(2026, 1, 6), date(2026, 2, 17), date(2026, 3, 10)]

    def value(at: datetime) -> int:
        return 20 if at.date() in special else 100

    found = forecast(datetime(2026, 1, 1, tzinfo=UTC), "day", 63, 14, value, special=special)
    expected = {point.period.date(): point.expected for point in found.points}
    assert expected[date(2026, 3, 10)] == 20
    assert {amount for day, amount in expected.items() if day not in special} == {100}


def test_february_is_no_fall() -> None:
    found = forecast(datetime(2023, 1, 1, tzinfo=UTC), "month", 37, 3, lambda at: 31 if at.month in {1, 3, 5, 7, 8, 10, 12} else (29 if at.year == 2024 else 28) if at.month == 2 else 30)  # fmt: skip

    assert [(point.period.month, round(point.expected)) for point in found.points] == [(2, 28), (3, 31), (4, 30)]


def test_rare_use_is_forecast_by_its_mean_rate() -> None:
    found = forecast(datetime(2026, 1, 1, tzinfo=UTC), "day", 100, 14, lambda at: 70 if at.toordinal() % 7 == 0 else 0)

    assert {test.method for test in found.tests} == {"mean", "TSB (Croston)"}
    assert all(5 < point.expected < 20 for point in found.points)


def test_intervals_hold_the_expected_and_never_fall_below_zero() -> None:
    found = forecast(datetime(2026, 1, 1, tzinfo=UTC), "day", 90, 14, lambda at: (at.toordinal() * 7919) % 100)

    for point in found.points:
        assert 0 <= point.low95 <= point.low80 <= point.expected <= point.high80 <= point.high95


def test_intervals_of_larger_errors_are_wider_and_widen_with_the_step() -> None:
    import numpy as np

    errors = np.array([[1.0, 2.0, 4.0], [-1.0, -3.0, -4.0], [2.0, 1.0, 5.0]])
    bands, wider = bands_of(errors), bands_of(2 * errors)

    assert list(bands.narrow) == sorted(bands.narrow)
    assert all(bands.narrow <= bands.wide)
    assert np.allclose(wider.narrow, 2 * bands.narrow)
    assert bands.coverage is not None


def test_the_back_test_knows_at_least_half_of_the_series() -> None:
    assert origins(100, 10, 20) == [90, 82, 74, 66, 58, 50]
    assert origins(1000, 10, 20) == [990, 980, 970, 960, 950, 940]
    assert origins(30, 14, 15) == [16]


def test_a_shortage_names_what_is_missing() -> None:
    days = [Decimal(1)] * 42
    assert shortage(days, "day", 14) is None
    assert shortage(days[:41], "day", 14) == "41 days since the first use; a forecast of 14 needs 42"
    assert shortage([Decimal(0)] * 42, "day", 14) == "only 0 days with use; a forecast needs 10"
    assert len(as_vector(days)) == 42
