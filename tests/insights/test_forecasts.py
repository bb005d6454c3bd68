"""Forecasts of recorded usage: what they say, when they say nothing, and what is kept."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from insights.conftest import NOW, Study

from faregate.analytics.question.filters import Filters, Question, time_range
from faregate.core.values.time_zones import time_zone

WEEK = [100, 110, 120, 115, 90, 40, 30]
"""Credits by day of the week."""


def days(count: int, *, timezone: str = "UTC", skip: int = 1) -> list[datetime]:
    """Return the noons of the last complete days, the oldest first."""
    zone = time_zone(timezone)
    today = NOW.astimezone(zone).replace(hour=12, minute=0)
    return [today - timedelta(days=back) for back in range(count + skip - 1, skip - 1, -1)]


def weekly(count: int, user: str = "ada", **more: Any) -> list[dict[str, Any]]:
    return [
        {"user_id": user, "service": "chat", "time": day, "credits": Decimal(WEEK[day.weekday()]), **more}
        for day in days(count)
    ]


def question(timezone: str = "UTC", **filters: str) -> Question:
    return Question(time_range(None, None, timezone, now=NOW), Filters(**filters))


async def test_a_weekly_pattern_is_continued_day_by_day(study: Study) -> None:
    await study.record(weekly(70))

    found = (await study.insights.forecasts().forecast(question(), of="credits", unit="day")).result

    assert found.enough
    expected = [WEEK[(NOW + timedelta(days=ahead)).weekday()] for ahead in range(14)]
    assert [round(float(point["expected"])) for point in found.answer["points"]] == expected
    assert found.answer["points"][0]["period"].startswith("2026-06-01T00:00")
    assert found.evidence.sample == 70
    assert "back-test from 4 past moments" in found.evidence.method


async def test_too_little_history_is_said_instead_of_guessed(study: Study) -> None:
    await study.record(weekly(20))

    found = (await study.insights.forecasts().forecast(question(), of="credits", unit="day")).result

    assert not found.enough
    assert found.answer == {}
    assert found.evidence.limits == ("not enough history: 20 days since the first use; a forecast of 14 needs 42",)


async def test_a_forecast_is_kept_and_later_shown_beside_what_came(study: Study) -> None:
    await study.record(weekly(70))
    service = study.insights.forecasts()
    first = await service.forecast(question(), of="credits", unit="day")
    assert await service.forecast(question(), of="credits", unit="day") == first

    study.clock.advance(days=2)
    doubled = [{**fact, "credits": fact["credits"] * 2} for fact in weekly(2)]
    for fact in doubled:
        fact["time"] += timedelta(days=2)
    await study.record(doubled)
    second = (await service.forecast(question(), of="credits", unit="day")).result

    (earlier,) = second.answer["earlier"]
    assert earlier["periods"] == 2
    assert (earlier["expected"], earlier["came"], earlier["error"]) == (210, 140, 35)
    assert earlier["held"] == 0


async def test_forecasts_of_different_questions_are_kept_apart(study: Study) -> None:
    await study.record([*weekly(70), *weekly(70, "bob", feature_key="essay")])
    service = study.insights.forecasts()

    both = (await service.forecast(question(), of="credits", unit="day")).result
    ada = (await service.forecast(question(user_id="ada"), of="credits", unit="day")).result
    essay = (await service.forecast(question(feature="essay"), of="credits", unit="day")).result

    assert both.answer["total"] == 2 * ada.answer["total"]
    assert ada.answer["total"] == essay.answer["total"]
