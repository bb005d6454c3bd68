"""Anomalies planted in recorded use: found once, with their reason, and reported by the existing channels."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from insights.conftest import NOW, Study

from faregate.analytics.insights.anomalies.quiet_hours import quiet_hours
from faregate.analytics.insights.anomalies.repository import AnomalyFilter
from faregate.analytics.insights.anomalies.values import (
    Anomaly,
    AnomalyMeasure,
    AnomalyScope,
    Suspect,
    Verdict,
    Watched,
)
from faregate.analytics.insights.anomalies.watch import suspects
from faregate.analytics.insights.errors import UnknownAnomalyError
from faregate.analytics.quotas.wording import body_of, subject
from faregate.analytics.values import Measures
from faregate.core.errors import InvalidError
from faregate.core.settings import Settings
from faregate.core.values.time_zones import time_zone
from faregate.wire.ids import new_uuid7

UTC_ZONE = time_zone("UTC")
HOUR = timedelta(hours=1)
TOTAL = Watched(AnomalyScope.TOTAL)
MONDAY_NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def wave(at: datetime) -> int:
    """Return the requests of an hour: more by day, few at weekends, with a peak on each Monday at noon."""
    requests = 40 + 5 * min(at.hour, 24 - at.hour) + (at.toordinal() * 7 + at.hour * 3) % 5
    if at.weekday() >= 5:
        requests //= 2
    return requests * 4 if (at.weekday(), at.hour) == (0, 12) else requests


def measures(requests: int, *, cost_each: int = 1, errors: int = 0, latency: int = 400) -> Measures:
    return Measures(
        facts=requests,
        requests=requests,
        errors=errors,
        input_tokens=1000 * requests,
        credits=500_000 * requests,
        cost=cost_each * 10**10 * requests,
        latency_sum=latency * requests,
        latency_count=requests,
    )


def history(end: datetime, weeks: int = 6) -> tuple[list[datetime], list[Measures]]:
    periods = [end - back * HOUR for back in range(weeks * 168, 0, -1)]
    return periods, [measures(wave(at)) for at in periods]


def found(end: datetime, *last: Measures, special: tuple[date, ...] = ()) -> list[Suspect]:
    periods, sums = history(end)
    if last:
        sums[-len(last) :] = last
    return suspects(TOTAL, periods, sums, newest=3, zone=UTC_ZONE, special=special)


def test_the_peak_of_every_monday_is_not_unusual() -> None:
    assert found(MONDAY_NOON + HOUR) == []
    assert found(MONDAY_NOON + 2 * HOUR) == []


def test_the_same_peak_on_a_tuesday_is_unusual() -> None:
    tuesday = MONDAY_NOON + timedelta(days=1)
    measures_found = {each.measure for each in found(tuesday + HOUR, measures(4 * wave(tuesday)))}

    assert measures_found == {AnomalyMeasure.SPEND, AnomalyMeasure.COST}


def test_a_wrong_price_shows_in_the_cost_alone() -> None:
    end = MONDAY_NOON + timedelta(days=1)
    (suspect,) = found(end, measures(wave(end - HOUR), cost_each=10))

    assert suspect.measure is AnomalyMeasure.COST
    assert suspect.start == end - HOUR
    assert suspect.actual > 8 * suspect.expected


def test_a_step_in_latency_and_errors_is_found_and_better_ones_are_not() -> None:
    end = MONDAY_NOON + timedelta(days=1)
    requests = [wave(end - back * HOUR) for back in (3, 2, 1)]
    worse = found(end, *(measures(each, errors=each // 4, latency=2000) for each in requests))
    better = found(end, *(measures(each, latency=10) for each in requests))

    assert {each.measure for each in worse} == {AnomalyMeasure.ERRORS, AnomalyMeasure.LATENCY}
    assert better == []


def test_a_slow_drift_is_no_anomaly() -> None:
    end = MONDAY_NOON + timedelta(days=2)
    periods, _ = history(end)
    drifting = [measures(round(wave(at) * (1 + place / 4000))) for place, at in enumerate(periods)]

    assert suspects(TOTAL, periods, drifting, newest=3, zone=UTC_ZONE) == []


def test_a_holiday_is_quiet_only_if_the_calendar_knows_it() -> None:
    end = MONDAY_NOON + timedelta(days=2)
    nothing = [measures(0)] * 6

    assert AnomalyMeasure.SPEND in {each.measure for each in found(end, *nothing)}
    assert found(end, *nothing, special=(end.date(),)) == []


def test_hours_with_few_requests_say_nothing_about_rates() -> None:
    end = MONDAY_NOON + timedelta(days=1)
    few = measures(10, errors=10, latency=60_000)

    assert not {each.measure for each in found(end, few)} & {AnomalyMeasure.ERRORS, AnomalyMeasure.LATENCY}


def test_a_short_history_has_no_anomalies() -> None:
    periods, sums = history(MONDAY_NOON, weeks=1)
    sums[-1] = measures(10_000)

    assert suspects(TOTAL, periods[-100:], sums[-100:], newest=3, zone=UTC_ZONE) == []


def test_quiet_hours_end_in_the_morning_of_their_zone() -> None:
    quiet = quiet_hours("22-7", time_zone("Europe/Berlin"))
    assert quiet is not None

    assert quiet.end_after(datetime(2026, 6, 1, 20, 30, tzinfo=UTC)) == datetime(2026, 6, 2, 5, tzinfo=UTC)
    assert quiet.end_after(datetime(2026, 6, 2, 4, 59, tzinfo=UTC)) == datetime(2026, 6, 2, 5, tzinfo=UTC)
    assert quiet.end_after(datetime(2026, 6, 2, 5, tzinfo=UTC)) == datetime(2026, 6, 2, 5, tzinfo=UTC)
    assert quiet_hours("", UTC_ZONE) is None


@pytest.mark.parametrize("text", ["22", "7-7", "25-3", "late-early", "22:60-7"])
def test_quiet_hours_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="22-7"):
        quiet_hours(text, UTC_ZONE)


def traffic(days: int = 21) -> list[dict[str, Any]]:
    """Return one event for each hour up to the running one."""
    end = NOW.replace(minute=0)
    return [
        use(end - back * HOUR, Decimal(10 + (end - back * HOUR).hour % 3), user=f"user-{back % 4}")
        for back in range(days * 24, 0, -1)
    ]


def use(at: datetime, credits: Decimal, user: str, **more: Any) -> dict[str, Any]:
    tokens = {"input_tokens": 1000, "model": "gpt-4o", "kind": "line"}
    return {"user_id": user, "service": "chat", "feature_key": "chat", "time": at, "credits": credits, **tokens, **more}


async def planted(study: Study) -> list[Anomaly]:
    await study.record([*traffic(), use(NOW.replace(minute=0) - HOUR / 2, Decimal(900), "mallory")])
    await study.analytics.roller().run()
    return [each for each in await study.insights.anomalies().check() if each.suspect.measure is AnomalyMeasure.SPEND]


async def test_an_anomaly_is_stored_with_its_reason_and_its_events(study: Study) -> None:
    anomalies = {each.suspect.watched.scope: each for each in await planted(study)}

    total = anomalies[AnomalyScope.TOTAL]
    assert total.suspect.start == NOW.replace(hour=9, minute=0)
    assert total.reason["sentence"].startswith("spend of all use was 9")
    assert "usual at this time" in total.reason["sentence"]
    assert total.reason["rows"] == {"startDate": "2026-06-01T09:00:00Z", "endDate": "2026-06-01T10:00:00Z"}
    parts = {(part["dimension"], part["value"]) for part in total.reason["parts"]}
    assert parts == {("model", "gpt-4o"), ("feature", "chat")}
    assert anomalies[AnomalyScope.MODEL].reason["rows"]["model"] == "gpt-4o"


async def test_one_cause_is_one_alert_and_no_second_check_repeats_it(study: Study) -> None:
    first = await planted(study)
    assert len(first) >= 2
    assert await study.insights.anomalies().check() == []
    study.clock.advance(hours=1)
    await study.record([use(NOW.replace(minute=5), Decimal(11), "user-0")])
    assert await study.insights.anomalies().check() == []

    await study.insights.jobs().deliver()
    await study.insights.jobs().deliver()

    notices = [alert.notice for alert in study.inbox.alerts if alert.meter == "spend"]
    assert len(notices) == 1
    assert notices[0] is not None
    assert notices[0].startswith("spend of all use")


async def test_what_is_no_anomaly_is_not_reported_again_unless_it_is_worse(study: Study) -> None:
    service = study.insights.anomalies()
    for each in await planted(study):
        judged = await service.judge(each.id, Verdict.NONE, actor="ops")
        assert judged.verdict is Verdict.NONE

    later = NOW.replace(minute=0) + timedelta(hours=1)
    study.clock.advance(hours=2)
    usual = use(NOW.replace(minute=5), Decimal(11), "user-0")
    await study.record([usual, use(later + HOUR / 2, Decimal(700), "mallory")])
    scopes = {(each.suspect.watched.scope, each.suspect.measure) for each in await service.check()}
    assert (AnomalyScope.TOTAL, AnomalyMeasure.SPEND) not in scopes

    await study.record([use(later + HOUR / 2, Decimal(9000), "mallory")])
    scopes = {(each.suspect.watched.scope, each.suspect.measure) for each in await service.check()}
    assert (AnomalyScope.TOTAL, AnomalyMeasure.SPEND) in scopes


async def test_a_verdict_on_an_unknown_anomaly_is_refused(study: Study) -> None:
    with pytest.raises(UnknownAnomalyError):
        await study.insights.anomalies().judge(new_uuid7(), Verdict.CONFIRMED, actor="ops")


async def test_anomalies_are_listed_by_what_they_are_about(study: Study) -> None:
    stored = await planted(study)
    service = study.insights.anomalies()

    models = await service.anomalies(AnomalyFilter(scope=AnomalyScope.MODEL, measure=AnomalyMeasure.SPEND))
    assert [each.suspect.watched.value for each in models] == ["gpt-4o"]
    await service.judge(models[0].id, Verdict.CONFIRMED, actor="ops")
    unjudged = await service.anomalies(AnomalyFilter(measure=AnomalyMeasure.SPEND, unjudged=True))
    assert {each.id for each in unjudged} == {each.id for each in stored} - {models[0].id}


async def test_an_anomaly_is_a_webhook_event_of_its_own_and_says_what_it_is(study: Study) -> None:
    await planted(study)
    await study.insights.jobs().deliver()
    alert = next(each for each in study.inbox.alerts if each.meter == "spend")

    body = body_of(alert)
    assert body["type"] == "usage.anomaly"
    assert (body["data"]["measure"], body["data"]["actual"]) == ("spend", alert.used)
    assert subject(alert).startswith("ANOMALY: spend of all use was")


async def test_in_quiet_hours_an_alert_waits(study: Study) -> None:
    study.insights.settings.override(Settings(insights_quiet_hours="9-13"))
    service = study.insights.anomalies()
    await study.record([*traffic(), use(NOW.replace(minute=0) - HOUR / 2, Decimal(900), "mallory")])
    assert await service.check()

    await study.insights.jobs().deliver()
    assert study.inbox.alerts == []
    study.clock.advance(hours=3)
    await study.insights.jobs().deliver()
    assert study.inbox.alerts != []


async def test_the_jobs_make_what_is_then_only_read(study: Study) -> None:
    await study.record(traffic())
    jobs = study.insights.jobs()
    await jobs.hourly()
    await jobs.daily()

    async with study.database.transaction(read_only=True) as session:
        rows = await study.database.rows(session, "select kind, count(*) as number from faregate.insight group by 1")
    assert {row.kind: row.number for row in rows} == {
        "forecast": 4,
        "cohorts": 2,
        "adoption": 1,
        "churn": 1,
        "segments": 1,
        "upsell": 1,
        "run_outs": 1,
        "returns": 3,
        "savings": 1,
        "satisfaction": 3,
    }
    study.clock.advance(days=401)
    await study.insights.keeper().forget()
    async with study.database.transaction(read_only=True) as session:
        assert await study.database.rows(session, "select 1 from faregate.insight") == []
