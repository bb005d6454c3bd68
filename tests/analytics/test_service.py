"""Answers of analytics, compared with numbers computed by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from analytics.conftest import Lab

from faregate.analytics.question.filters import Filters, Question, TimeRange, time_range
from faregate.core.errors import InvalidError

DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=5)
RANGE = TimeRange(DAY, DAY + timedelta(days=3))


def fact(user: str, hours: float, service: str = "chat", **more: Any) -> dict[str, Any]:
    return {"user_id": user, "service": service, "time": DAY + timedelta(hours=hours), **more}


FACTS = [
    fact("anna", 1, usage_key="k1", latency_ms=100, status=200, country="DE", device="mobile"),
    fact("anna", 1, usage_key="k1", kind="line", model="gpt-4o", provider="openai", input_tokens=1000, output_tokens=50,
         credits=Decimal("0.30"), cost_usd=Decimal("0.0025"), latency_ms=100, status=200),
    fact("anna", 1, usage_key="k1", kind="line", model="claude", provider="anthropic", input_tokens=500,
         credits=Decimal("0.10"), cost_usd=Decimal("0.001")),
    fact("bob", 25, service="search", latency_ms=300, status="failed", credits=2),
    fact("bob", 47.9, service="search", latency_ms=200, status=200, credits=1, organization_id="acme"),
    fact("carl", 72, latency_ms=1, status=200, credits=99),
    fact("dora", 30, service="storage", meter="storage", quantity=5),
]  # fmt: skip


@pytest.fixture(params=["raw", "half rolled up", "rolled up"])
async def filled(request: pytest.FixtureRequest, lab: Lab) -> Lab:
    """The facts, with and without rollups: the answers are the same."""
    half = 0 if request.param == "raw" else 4
    await lab.recorder.record(FACTS[:half])
    if half:
        await lab.analytics.roller().run()
    report = await lab.recorder.record(FACTS[half:])
    assert report.rejected == ()
    if request.param == "rolled up":
        await lab.analytics.roller().run()
    return lab


async def test_the_totals(filled: Lab) -> None:
    """A use with two models is one request; a fact at the end of the range is excluded."""
    metrics = await filled.service.metrics(Question(RANGE))
    sums = metrics.measures

    assert (sums.requests, sums.errors, sums.tokens) == (3, 1, 1550)
    assert sums.total_credits == Decimal("3.4")
    assert sums.cost_usd == Decimal("0.0035")
    assert sums.average_latency_ms == 200
    assert sums.error_rate == Decimal("0.333333")
    assert metrics.unique_users == 3
    assert sums.cost_per_request_usd == Decimal("0.001166666667")
    assert sums.margin_credits(Decimal("0.01")) == Decimal("3.05")


async def test_percentiles_are_exact_on_demand_and_at_most_one_percent_off_otherwise(filled: Lab) -> None:
    near = await filled.service.metrics(Question(RANGE))
    exact = await filled.service.metrics(Question(RANGE), exact=True)

    assert (exact.p50_ms, exact.p95_ms, exact.p99_ms) == (200, 300, 300)
    assert near.p50_ms is not None
    assert abs(near.p50_ms - 200) <= 2


async def test_models_count_calls_with_their_provider(filled: Lab) -> None:
    models = await filled.service.breakdown(Question(RANGE), "model")

    assert [(m.value, m.provider, m.measures.requests, m.measures.tokens) for m in models] == [
        ("gpt-4o", "openai", 1, 1050),
        ("claude", "anthropic", 1, 500),
    ]


async def test_breakdowns_and_filters(filled: Lab) -> None:
    services = await filled.service.breakdown(Question(RANGE), "service")
    countries = await filled.service.breakdown(Question(RANGE, Filters(service="chat")), "country")
    acme = await filled.service.metrics(Question(RANGE, Filters(organization_id="acme")))
    organizations = await filled.service.breakdown(Question(RANGE), "organization")
    failed = await filled.service.metrics(Question(RANGE, Filters(status="error", country=None)))
    nobody = await filled.service.metrics(Question(RANGE, Filters(user_id="nobody")))

    assert [(s.value, s.measures.requests) for s in services] == [("search", 2), ("chat", 1), ("storage", 0)]
    assert {c.value: c.measures.requests for c in countries} == {"DE": 1, None: 0}
    assert acme.measures.total_credits == 1
    assert organizations[0].value in {None, "acme"}
    assert failed.measures.requests == failed.measures.errors == 1
    assert nobody.unique_users == nobody.measures.requests == 0


async def test_a_series_has_every_period_of_the_callers_day(filled: Lab) -> None:
    utc = await filled.service.series(Question(RANGE), "day")
    india = await filled.service.series(Question(TimeRange(RANGE.start, RANGE.end, "Asia/Kolkata")), "day")
    hours = await filled.service.series(Question(RANGE), "hour")

    assert [(p.measures.requests, p.unique_users) for p in utc] == [(1, 1), (2, 2), (0, 0)]
    assert india[0].period == DAY - timedelta(hours=5, minutes=30)
    assert [p.measures.requests for p in india] == [1, 1, 1, 0]
    assert len(hours) == 72


async def test_top_users(filled: Lab) -> None:
    by_credits = await filled.service.top_users(Question(RANGE))
    by_tokens = await filled.service.top_users(Question(RANGE), by="tokens", limit=1)

    assert [u.user_id for u in by_credits] == ["bob", "anna", "dora"]
    assert by_credits[0].last_activity == DAY + timedelta(hours=47.9)
    assert [u.user_id for u in by_tokens] == ["anna"]


async def test_the_last_activity_is_a_valid_fact(filled: Lab) -> None:
    """Facts that were voided, or replaced by earlier ones, are not activity."""
    late = fact("anna", 60, id="late", source="host")
    await filled.recorder.record([late, fact("bob", 70, id="moved", source="host")])
    for _ in range(2):
        await filled.analytics.roller().run()
        before = {u.user_id: u.last_activity for u in await filled.service.top_users(Question(RANGE))}
        assert (before["anna"], before["bob"]) == (DAY + timedelta(hours=60), DAY + timedelta(hours=70))
    history = filled.library.usage.history()
    await history.void("host", "late", reason="a test")
    await history.replace("host", "moved", fact("bob", 2, id="moved", source="host"), reason="a test")

    for _ in range(2):
        after = {u.user_id: u.last_activity for u in await filled.service.top_users(Question(RANGE))}
        mixed = await filled.service.top_users(Question(RANGE, Filters(service="chat", status=None, country="DE")))
        assert (after["anna"], after["bob"]) == (DAY + timedelta(hours=1), DAY + timedelta(hours=47.9))
        assert [u.user_id for u in mixed] == ["anna"]
        await filled.analytics.roller().run()


def test_ranges_are_half_open_and_begin_at_the_callers_midnight() -> None:
    now = datetime(2026, 3, 31, 12, tzinfo=UTC)

    given = time_range("2026-03-01", "2026-04-01", "Europe/Berlin", now=now)
    default = time_range(None, None, "UTC", now=now)

    assert (given.start, given.end) == (datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC))
    assert (default.start, default.end) == (datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    for start, end, zone in [("x", None, "UTC"), ("2026-04-02", "2026-04-01", "UTC"), (None, None, "Mars/Base")]:
        with pytest.raises(InvalidError):
            time_range(start, end, zone, now=now)


async def test_holds_are_sized_by_earlier_costs(lab: Lab) -> None:
    """A percentile of the feature's own uses, from 20 uses on; lines and requests of one use are one cost."""
    now, history = datetime.now(UTC), lab.analytics.hold_history()
    few = [fact("anna", 1, feature_key="few", usage_key=f"f{n}", credits=9) | {"time": now} for n in range(19)]
    many = [fact("anna", 1, feature_key="f", usage_key=f"k{n}", credits=n) | {"time": now} for n in range(1, 101)]
    lines = [event | {"kind": "line", "model": "m", "credits": 1} for event in many]
    await lab.recorder.record([*few, *many, *lines])

    async with lab.database.transaction() as session:
        found = await history.percentiles(session, [("f", Decimal(95)), ("few", Decimal(95)), ("f", Decimal(50))])

    assert found == [96, None, 51]
