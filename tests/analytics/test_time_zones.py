"""Series, trends, peaks and hours of the day add up to the total in zones with any clock changes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from analytics.conftest import Lab

from faregate.analytics.question.calendar import Unit, period_at
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.core.settings import Settings, load_settings
from faregate.core.values.time_zones import time_zone

ZONES = [
    *("America/Vancouver", "America/Havana", "Australia/Lord_Howe"),
    *("Asia/Beirut", "Asia/Kathmandu", "Africa/Casablanca"),
]
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
BEGIN = NOW - timedelta(days=370)
SPAN = (NOW - timedelta(days=366, hours=3), NOW - timedelta(hours=1, minutes=20))


def _changes(name: str) -> Iterator[datetime]:
    """Return the hours (UTC) of the last year in which a zone's clock changes."""
    zone = time_zone(name)
    hours = [BEGIN + timedelta(hours=n) for n in range(370 * 24)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return (hour for hour, before, after in zip(hours[1:], offsets, offsets[1:], strict=False) if before != after)


@pytest.fixture
def settings(database_url: str) -> Settings:
    return load_settings(database_url=database_url, late_event_days=400)


@pytest.fixture(params=["raw", "rolled up"])
async def filled(request: pytest.FixtureRequest, lab: Lab) -> Lab:
    """Facts around each clock change, and over the whole year."""
    moments = {change + timedelta(minutes=20 * n) for name in ZONES for change in _changes(name) for n in range(-8, 9)}
    moments |= {BEGIN + timedelta(hours=13 * n) for n in range(370 * 24 // 13)}
    events = [
        {"user_id": f"u{n % 5}", "service": "chat" if n % 2 else "ocr", "model": "gpt-4o" if n % 3 else None}
        | {"time": moment, "credits": 1, "latency_ms": 5, "status": 200}
        for n, moment in enumerate(sorted(moments))
        if moment < NOW
    ]
    assert (await lab.recorder.record(events)).rejected == ()
    if request.param == "rolled up":
        await lab.analytics.roller().run()
    return lab


FILTERS = [Filters(), Filters(service="chat"), Filters(service="chat", model="gpt-4o"), Filters(user_id="u1")]


async def test_the_sum_of_each_series_is_the_total(filled: Lab) -> None:
    """By every unit, without filter, with one, with two and for one user."""
    for zone in ZONES:
        for filters in FILTERS:
            question = Question(TimeRange(*SPAN, zone), filters)
            total = (await filled.service.metrics(question)).measures
            assert total.facts > 0
            for unit in set(get_args(Unit)) - {"quarter-hour"}:  # more than 10,000 in a year
                points = await filled.service.series(question, unit)
                assert sum(p.measures.requests for p in points) == total.requests, (zone, unit, filters)
                assert sum(p.measures.credits for p in points) == total.credits, (zone, unit, filters)
                active = [p for p in points if p.measures.facts]
                assert all(0 < p.unique_users <= 5 for p in active), (zone, unit, filters)


async def test_trends_peaks_and_hours_add_up(filled: Lab) -> None:
    patterns = filled.analytics.patterns()
    for zone in ZONES:
        question = Question(TimeRange(period_at(SPAN[0], "day", time_zone(zone)), SPAN[1], zone))
        total = (await filled.service.metrics(question)).measures.requests

        hours = await patterns.hours_of_day(question)
        trends = await patterns.trends(question)
        peaks = await patterns.peaks(question, unit="day", limit=1000)
        assert sum(hour.measures.requests for hour in hours) == total, zone
        assert sum(trend.amount for trend in trends) == total, zone
        assert sum(peak.amount for peak in peaks) == total, zone
