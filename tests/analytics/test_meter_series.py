"""Series and breakdowns of one meter add up to its total; quantities of different meters are never added."""

from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from faregate.analytics.exports.formats import Format
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.core.clock import SystemClock
from faregate.core.errors import InvalidError
from faregate.usage.errors import UnknownMeterError
from faregate.usage.meters.meter import Meter
from faregate.wire import exact_json

NOW = SystemClock().now().replace(microsecond=0)
ZONES = ["UTC", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]
UNITS = ["hour", "day", "week", "month"]


def _about(zone: str, **filters: str) -> Question:
    return Question(TimeRange(NOW - timedelta(days=30, hours=7), NOW - timedelta(minutes=11), zone), Filters(**filters))


async def _fill(lab: Any) -> None:
    random = Random(18)
    spans = [timedelta(seconds=random.randrange(30 * 86_400)) for _ in range(400)]
    events = [
        {
            "user_id": f"u{number % 7}",
            "meter": "api" if number % 3 else "storage",
            "quantity": Decimal(random.randrange(1, 10**6)).scaleb(-3),
            "time": NOW - span,
            "country": "DE" if number % 2 else "IN",
        }
        for number, span in enumerate(spans)
    ]
    await lab.recorder.record(events[:300])
    await lab.analytics.roller().run()
    await lab.recorder.record(events[300:])


async def test_a_series_adds_up_to_the_meters_total(lab: Any) -> None:
    """By hour, day, week and month, in zones that are off by half hours, whole days and clock changes, in order, without gaps."""
    await _fill(lab)
    patterns, totals = lab.analytics.patterns(), lab.analytics.meter_totals()
    for zone in ZONES:
        total = await totals.value(_about(zone), "api")
        for unit in UNITS:
            found = await patterns.amounts(_about(zone, meter="api"), unit=unit)
            periods = [each.point.period for each in found]

            assert sum(each.amount for each in found) == total > 0, (zone, unit)
            assert periods == sorted(set(periods))


async def test_a_series_reads_a_meter_as_it_is_declared(lab: Any) -> None:
    await lab.analytics.meters().declare(Meter("seats", "seats", aggregation="max"))
    day = NOW.replace(hour=0, minute=0, second=0) - timedelta(days=2)
    await lab.recorder.record(
        [{"user_id": "ada", "meter": "seats", "quantity": n, "time": day + timedelta(hours=n)} for n in (5, 9, 4)]
    )
    question = Question(TimeRange(day, day + timedelta(days=1)), Filters(meter="seats"))
    (found,) = await lab.analytics.patterns().amounts(question, unit="day")
    (part,) = await lab.analytics.patterns().distribution(question, "meter")

    assert (found.amount, part.quantity) == (9, None)


async def test_quantities_of_different_meters_are_never_added(lab: Any) -> None:
    await _fill(lab)
    patterns = lab.analytics.patterns()
    mixed = [part for by in ("country", "hour", "service") for part in await patterns.distribution(_about("UTC"), by)]
    countries = await patterns.distribution(_about("UTC", meter="api"), "country")
    meters = {part.value: part.quantity for part in await patterns.distribution(_about("UTC"), "meter")}

    assert {part.quantity for part in mixed if part.value not in {"api", "storage"}} == {None}
    assert sum(part.quantity for part in countries) == meters["api"] > 0
    assert set(meters) == {"api", "storage"}
    with pytest.raises(InvalidError, match="name a meter"):
        await patterns.amounts(_about("UTC"), unit="day")


async def test_a_misspelt_meter_is_refused_by_every_question(lab: Any) -> None:
    question, service = _about("UTC", meter="storrage"), lab.service
    export = lab.analytics.exports().events(question, Format.CSV)
    asked = [
        service.metrics(question),
        service.breakdown(question, "service"),
        service.series(question, "day"),
        service.top_users(question),
        service.dashboard(question),
        lab.analytics.patterns().profitability(question),
        lab.analytics.patterns().hours_of_day(question),
        lab.analytics.patterns().amounts(question, unit="day"),
        lab.analytics.patterns().distribution(question, "country"),
        lab.analytics.meter_totals().totals(question),
        lab.analytics.user_periods().users(question, "week"),
        anext(export.chunks),
    ]
    for answer in asked:
        with pytest.raises(UnknownMeterError, match="storage"):
            await answer


async def test_an_export_to_json_sums_up_each_meter(lab: Any) -> None:
    await _fill(lab)
    export = lab.analytics.exports().events(_about("UTC"), Format.JSON)
    found = exact_json.loads(b"".join([chunk async for chunk in export.chunks]))
    meters = found["summary"]["meters"]

    assert [each["meter"] for each in meters] == ["api", "storage"]
    assert sum(each["events"] for each in meters) == found["summary"]["rows"]
    for each in meters:
        assert each["quantity"] == sum(row["quantity"] for row in found["rows"] if row["meter"] == each["meter"])
