"""Statistics, trends and peaks of a meter are those of its facts, exactly."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from faregate.analytics.filters import Filters, Question, TimeRange
from faregate.analytics.meters.values import change_percent
from faregate.core.clock import SystemClock

TODAY = SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0)
RANGE = TimeRange(TODAY - timedelta(days=10), TODAY)


def use(meter: str, quantity: str, *, days: int, hour: int = 5, **more: Any) -> dict[str, Any]:
    return {"user_id": "ada", "meter": meter, "quantity": Decimal(quantity), "time": TODAY - timedelta(days=days, hours=-hour), **more}  # fmt: skip


async def test_stats_are_exact_and_leave_out_what_was_taken_back(lab: Any) -> None:
    await lab.recorder.record([use("api", str(n), days=2, id=f"e{n}") for n in range(1, 102)])
    await lab.library.usage.history().void(None, "e101")
    stats = await lab.analytics.meters().stats("api", Question(RANGE))

    assert (stats.count, stats.total, stats.average) == (100, 5050, Decimal("50.5"))
    assert (stats.least, stats.median, stats.p95, stats.p99, stats.most) == (1, 50, 95, 99, 100)


async def test_nothing_used_has_a_sum_and_no_average(lab: Any) -> None:
    stats = await lab.analytics.meters().stats("api", Question(RANGE, Filters(user_id="nobody")))

    assert (stats.count, stats.total, stats.average, stats.p99) == (0, 0, None, None)


async def test_trends_look_at_the_day_and_the_week_before(lab: Any) -> None:
    await lab.recorder.record([use("api", "10", days=9), use("api", "20", days=2), use("api", "25", days=1)])
    points = {point.day: point for point in await lab.analytics.meters().trends("api", Question(RANGE))}

    assert len(points) == 10
    assert points[TODAY - timedelta(days=1)].day_over_day_percent == 25
    assert points[TODAY - timedelta(days=2)].week_over_week_percent == 100
    assert points[TODAY - timedelta(days=2)].day_over_day_percent is None
    assert points[TODAY - timedelta(days=9)].week_over_week_percent is None


async def test_peaks_are_the_periods_of_most_use(lab: Any) -> None:
    await lab.recorder.record(
        [use("api", "3", days=1, hour=1), use("api", "4", days=1, hour=1), use("api", "6", days=2), use("other", "99", days=3)]
    )  # fmt: skip
    meters = lab.analytics.meters()
    hours = await meters.peaks("api", Question(RANGE))
    (day,) = await meters.peaks("api", Question(RANGE), unit="day", limit=1)

    assert [(peak.period, peak.total, peak.events) for peak in hours] == [
        (TODAY - timedelta(hours=23), 7, 2),
        (TODAY - timedelta(days=2, hours=-5), 6, 1),
    ]
    assert (day.period, day.total) == (TODAY - timedelta(days=1), 7)


async def test_measures_of_every_use_have_statistics_too(lab: Any) -> None:
    event = {"user_id": "ada", "service": "chat", "model": "m", "input_tokens": 7, "output_tokens": 3, "credits": Decimal("0.5"), "time": RANGE.start}  # fmt: skip
    await lab.recorder.record([event, event])
    meters = lab.analytics.meters()

    assert [(await meters.stats(name, Question(RANGE))).total for name in ("requests", "tokens", "credits")] == [
        2,
        20,
        1,
    ]


def test_a_change_from_nothing_has_no_percentage() -> None:
    assert change_percent(Decimal(5), Decimal(0)) is None
    assert change_percent(Decimal(3), Decimal(4)) == -25
