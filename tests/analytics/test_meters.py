"""Statistics, trends and peaks of a meter match its facts exactly."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from faregate.analytics.answers.trends import Stats, counted_as
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.core.clock import SystemClock
from faregate.core.errors import InvalidError
from faregate.usage.errors import UnknownMeterError
from faregate.usage.meters.meter import Aggregation, Meter

TODAY = SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0)
RANGE = TimeRange(TODAY - timedelta(days=10), TODAY)
API, _ = counted_as("api", Question(RANGE))


def use(meter: str, quantity: str, *, days: int, hour: int = 5, **more: Any) -> dict[str, Any]:
    return {"user_id": "ada", "meter": meter, "quantity": Decimal(quantity), "time": TODAY - timedelta(days=days, hours=-hour), **more}  # fmt: skip


async def test_stats_are_exact_and_leave_out_voided_events(lab: Any) -> None:
    await lab.recorder.record([use("api", str(n), days=2, id=f"e{n}") for n in range(1, 102)])
    await lab.library.usage.history().void(None, "e101")
    stats = await lab.analytics.patterns().stats(API)

    assert (stats.count, stats.total, stats.average) == (100, 5050, Decimal("50.5"))
    assert (stats.least, stats.median, stats.p95, stats.p99, stats.most) == (1, 50, 95, 99, 100)


async def test_without_use_there_is_a_sum_and_no_average(lab: Any) -> None:
    stats = await lab.analytics.patterns().stats(Question(RANGE, Filters(user_id="nobody", meter="api")))

    assert stats == Stats(0, Decimal(0), None, None, None, None, None, None)


async def test_trends_compare_with_the_day_and_the_week_before(lab: Any) -> None:
    await lab.recorder.record([use("api", "10", days=9), use("api", "20", days=2), use("api", "25", days=1)])
    await lab.analytics.roller().run()
    found = await lab.analytics.patterns().trends(API, amount="quantity")
    points = {point.period: point for point in found}

    assert len(points) == 10
    assert points[TODAY - timedelta(days=1)].change == Decimal("0.25")
    assert points[TODAY - timedelta(days=2)].week_change == 1
    assert points[TODAY - timedelta(days=2)].change is None
    assert points[TODAY - timedelta(days=9)].week_change is None


async def test_a_trend_takes_the_first_day_as_a_whole_also_from_noon(lab: Any) -> None:
    await lab.recorder.record([use("api", "10", days=1, hour=1), use("api", "4", days=2)])
    noon = Question(TimeRange(TODAY - timedelta(hours=12), TODAY), API.filters)
    (day,) = await lab.analytics.patterns().trends(noon, amount="quantity")

    assert (day.period, day.amount, day.change) == (TODAY - timedelta(days=1), 10, Decimal("1.5"))


async def test_peaks_are_the_periods_of_highest_use(lab: Any) -> None:
    await lab.recorder.record(
        [use("api", "3", days=1, hour=1), use("api", "4", days=1, hour=1), use("api", "6", days=2), use("other", "99", days=3)]
    )  # fmt: skip
    patterns = lab.analytics.patterns()
    hours = await patterns.peaks(API, amount="quantity")
    (day,) = await patterns.peaks(API, unit="day", amount="quantity", limit=1)

    assert [(peak.point.period, peak.amount, peak.point.measures.facts) for peak in hours] == [
        (TODAY - timedelta(hours=23), 7, 2),
        (TODAY - timedelta(days=2, hours=-5), 6, 1),
    ]
    assert (day.point.period, day.amount) == (TODAY - timedelta(days=1), 7)


async def test_measures_of_every_use_have_statistics_too(lab: Any) -> None:
    event = {"user_id": "ada", "service": "chat", "model": "m", "input_tokens": 7, "output_tokens": 3, "credits": Decimal("0.5"), "time": RANGE.start}  # fmt: skip
    await lab.recorder.record([event, event])
    totals = []
    for name in ("requests", "tokens", "credits"):
        question, amount = counted_as(name, Question(RANGE))
        totals.append((await lab.analytics.patterns().stats(question, amount=amount)).total)

    assert totals == [2, 20, 1]


@pytest.mark.parametrize(
    ("how", "yesterday", "before"),
    [("sum", 12, 6), ("count", 2, 1), ("max", 9, 6), ("unique", 1, 1), ("latest", 3, 6)],
)
async def test_trends_and_peaks_read_a_meter_by_its_declaration(
    lab: Any, how: Aggregation, yesterday: int, before: int
) -> None:
    """For a meter read as its highest quantity: the highest of a day, not the sum; voided events are left out."""
    await lab.library.usage.meters().declare(Meter("seats", "seat", how))
    await lab.recorder.record([
        use("seats", "9", days=1, hour=1), use("seats", "3", days=1, hour=2), use("seats", "6", days=2),
        use("seats", "77", days=1, hour=3, id="wrong"), use("other", "99", days=1),
    ])  # fmt: skip
    await lab.library.usage.history().void(None, "wrong")
    await lab.analytics.roller().run()
    seats, amount = counted_as("seats", Question(RANGE))
    patterns = lab.analytics.patterns()

    days = {trend.period: trend.amount for trend in await patterns.trends(seats, amount=amount)}
    peaks = await patterns.peaks(seats, unit="day", amount=amount)

    assert days.pop(TODAY - timedelta(days=1)) == yesterday
    assert days.pop(TODAY - timedelta(days=2)) == before
    assert set(days.values()) == {0}
    assert max(peak.amount for peak in peaks) == max(yesterday, before)


async def test_a_misspelt_meter_is_refused_with_a_suggestion(lab: Any) -> None:
    """Zeros for an unknown meter would look like an answer."""
    await lab.recorder.record([use("seats", "1", days=1)])
    patterns = lab.analytics.patterns()
    for name, meant in (("storrage", "storage"), ("seat", "seats")):
        question, amount = counted_as(name, Question(RANGE))
        for ask in (patterns.stats, patterns.trends, patterns.peaks):
            with pytest.raises(UnknownMeterError) as refused:
                await ask(question, amount=amount)
            assert refused.value.facts["suggestions"][0] == meant
    assert (await patterns.stats(counted_as("seats", Question(RANGE))[0])).count == 1  # before any roll-up


async def test_all_counts_events_and_quantities_of_different_units_are_never_added(lab: Any) -> None:
    await lab.recorder.record([use("seats", "7", days=1), use("storage", "500", days=1), use("api", "2", days=2)])
    question, amount = counted_as("all", Question(RANGE))
    patterns = lab.analytics.patterns()

    assert (await patterns.stats(question, amount=amount)).count == 3
    assert [peak.amount for peak in await patterns.peaks(question, unit="day", amount=amount)] == [2, 1]
    with pytest.raises(InvalidError, match="name a meter"):
        await patterns.trends(question, amount="quantity")
