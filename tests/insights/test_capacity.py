"""Capacity: the measured cost of a request, and the day on which a limit is reached."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from insights.conftest import NOW, Study

from faregate.analytics.insights.operations.capacity.growth import full_dates

DAY = timedelta(days=1)


def answer(*requests: int, size: int = 1000, per_request: str = "10", spread: int = 0) -> dict[str, Any]:
    return {
        "bytes": size,
        "bytes_per_request": Decimal(per_request),
        "growth": [
            {
                "period": (datetime(2026, 6, 1, tzinfo=UTC) + n * DAY).isoformat(),
                "expected": Decimal(count),
                "low80": Decimal(count - spread),
                "high80": Decimal(count + spread),
            }
            for n, count in enumerate(requests)
        ],
    }


def day(number: int) -> datetime:
    return datetime(2026, 6, number, tzinfo=UTC)


def test_a_limit_is_reached_on_the_day_that_the_forecast_adds_the_last_byte() -> None:
    found = full_dates(answer(5, 5, 5, 5, spread=2), 1100)

    assert found is not None
    assert (found.expected_at, found.days_left) == (day(3), 2)
    assert found.earliest_at == day(3)  # 7 requests a day
    assert found.latest_at == day(5)  # 3 requests a day, beyond the forecast


def test_beyond_the_forecast_its_last_week_goes_on() -> None:
    found = full_dates(answer(*[100] * 10, *[10] * 7), 1000 + 10 * 1000 + 10 * 170)

    assert found is not None
    assert found.days_left == 17 + 10


@pytest.mark.parametrize(("limit", "days"), [(1000, 0), (10, 0), (10**12, None)])
def test_a_limit_that_is_passed_is_today_and_one_beyond_ten_years_is_never(limit: int, days: int | None) -> None:
    found = full_dates(answer(5, 5), limit)

    assert found is not None
    assert found.days_left == days


def test_without_use_no_limit_is_reached_and_without_a_forecast_nothing_is_said() -> None:
    idle = full_dates(answer(0, 0, 0), 2000)

    assert idle is not None
    assert (idle.expected_at, idle.earliest_at, idle.latest_at) == (None, None, None)
    assert full_dates(answer(), 2000) is None


def uses(days: int, each: int, *, last: datetime = NOW) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{last:%m%d}-{back}-{n}",
            "user_id": f"u{n % 9}",
            "service": "web",
            "time": last - back * DAY - n * DAY / 4000 - timedelta(seconds=1),
        }
        for back in range(days)
        for n in range(each)
    ]


async def analyze(study: Study) -> None:
    """Bring the estimates of rows up to date, as autovacuum does."""
    connection = await study.database.connect()
    await connection.execute("analyze")
    await connection.close()


async def test_a_request_has_the_bytes_rows_and_time_that_postgresql_measured(study: Study) -> None:
    await study.record(uses(40, 60))
    await analyze(study)
    kept = await study.operations.capacity().capacity()
    found = kept.result.answer

    assert (found["requests"], found["measured_since"]) == (2400, None)
    tables = {table["name"]: table for table in found["tables"]}
    assert tables["usage_event"]["rows"] == 2400
    assert found["bytes_per_request"] == (Decimal(found["own_bytes"]) / 2400).quantize(Decimal("0.1"))
    assert found["active_ms_per_request"] > 0
    assert len(found["growth"]) == 13
    full = full_dates(found, found["bytes"] + int(found["bytes_per_request"] * 60 * 30))
    assert full is not None
    assert full.days_left in range(28, 33)
    assert (await study.operations.capacity().capacity()).id == kept.id


async def test_from_the_second_sample_on_only_what_was_added_counts(study: Study) -> None:
    await study.record(uses(40, 60))
    await analyze(study)
    first = await study.operations.capacity().capacity()
    study.clock.advance(days=1)
    await study.record(uses(1, 1500, last=NOW + DAY))
    await analyze(study)
    second = await study.operations.capacity().capacity()

    was, found = first.result.answer, second.result.answer
    assert found["measured_since"] == first.made_at.isoformat().replace("+00:00", "Z")
    added = Decimal(found["own_bytes"]) - Decimal(was["own_bytes"])
    assert found["bytes_per_request"] == (added / 1500).quantize(Decimal("0.1"))
    assert found["bytes_per_request"] < was["bytes_per_request"]


async def test_few_requests_have_no_measured_cost(study: Study) -> None:
    await study.record(uses(2, 10))
    result = (await study.operations.capacity().capacity()).result

    assert (result.enough, result.answer) == (False, {})
    assert result.evidence.limits[0] == "20 requests so far; needs 1000"


async def test_a_short_history_is_measured_without_a_growth(study: Study) -> None:
    await study.record(uses(5, 300))
    result = (await study.operations.capacity().capacity()).result

    assert (result.enough, result.answer["growth"]) == (True, [])
    assert any(limit.startswith("no growth is forecast: ") for limit in result.evidence.limits)
