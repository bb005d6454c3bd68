"""Service-level objectives: error budgets, burn rates, and alerts that are sent once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from insights.conftest import NOW, Study

from faregate.analytics.insights.errors import UnknownObjectiveError
from faregate.analytics.insights.operations.objectives.burn import RULES, burn_rate, rules_for, threshold_of
from faregate.analytics.insights.operations.objectives.values import (
    Counted,
    Indicator,
    ObjectiveScope,
    ObjectiveSpec,
)
from faregate.analytics.quotas.wording import body_of, subject
from faregate.core.errors import InvalidError
from faregate.core.settings import Settings

FAST, MEDIUM, SLOW = RULES
HOUR = timedelta(hours=1)


def spec(**changed: Any) -> ObjectiveSpec:
    given: dict[str, Any] = {
        "name": "up",
        "indicator": Indicator.AVAILABILITY,
        "target_percent": Decimal(99),
        **changed,
    }
    return ObjectiveSpec(**given)


def uses(end: datetime, hours: int, *, every: int = 60, bad: int = 0, feature: str = "chat") -> list[dict[str, Any]]:
    """Return a request each `every` seconds up to `end`, of which one in `bad` fails."""
    count = hours * 3600 // every
    return [
        {
            "id": f"{feature}-{end:%d%H%M}-{n}",
            "user_id": f"u{n % 7}",
            "service": "web",
            "feature_key": feature,
            "time": end - timedelta(seconds=every * n + 1),
            "status": 500 if bad and n % bad == 0 else 200,
            "latency_ms": 3000 if bad and n % bad == 0 else 200,
        }
        for n in range(count)
    ]


def test_the_thresholds_of_thirty_days_are_those_of_the_workbook() -> None:
    assert [threshold_of(rule, spec()) for rule in RULES] == [Decimal("14.4"), 6, 1]
    assert [rule.name for rule in rules_for(spec(window_days=1))] == ["fast", "medium"]
    assert threshold_of(FAST, spec(window_days=1)) == 1  # slower than that lasts the whole window


def test_a_rule_fires_only_if_both_spans_burn_and_lasts_while_the_long_one_does() -> None:
    burning, calm, over = Counted(1000, 300), Counted(1000, 0), Counted(100, 0)

    both = burn_rate(spec(), FAST, burning, Counted(80, 40))
    past = burn_rate(spec(), FAST, burning, over)
    assert (both.long, both.fires) == (30, True)
    assert (past.fires, past.lasts) == (False, True)
    assert burn_rate(spec(), FAST, calm, Counted(80, 40)).lasts is False


@pytest.mark.parametrize("long", [Counted(49, 49), Counted(1000, 4), Counted(0, 0)])
def test_few_requests_or_few_bad_ones_fire_nothing(long: Counted) -> None:
    assert not burn_rate(spec(target_percent=Decimal("99.99")), FAST, long, long).fires


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"target_percent": Decimal(100)}, "targetPercent"),
        ({"window_days": 91}, "windowDays"),
        ({"value": "chat"}, "value"),
        ({"scope": ObjectiveScope.FEATURE}, "value"),
        ({"indicator": Indicator.LATENCY}, "thresholdMs"),
        ({"threshold_ms": 5}, "thresholdMs"),
        ({"indicator": Indicator.LATENCY, "threshold_ms": 0}, "thresholdMs"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused_by_name(changed: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidError) as refused:
        spec(**changed)
    assert refused.value.param == param


async def test_the_error_budget_counts_exactly_with_and_without_sums(study: Study) -> None:
    await study.record([*uses(NOW, 48, bad=200), *uses(NOW, 4, feature="essay", every=30)])
    before = (await study.operations.objectives().put(spec())).answer
    await study.analytics.roller().run()
    after = await study.operations.objectives().put(spec())

    assert before == after.answer
    assert (after.answer["total"], after.answer["bad"]) == (2880 + 480, 15)
    assert after.answer["used"] == (Decimal(15) / Decimal("33.6")).quantize(Decimal("0.0001"))
    assert after.result is not None
    assert after.result.evidence.sample == 3360
    assert "every status from 400 on is a failure" in " ".join(after.result.evidence.limits)


@pytest.mark.parametrize("scope", [ObjectiveScope.TOTAL, ObjectiveScope.SERVICE, ObjectiveScope.FEATURE])
async def test_latency_counts_what_took_longer_than_the_threshold(study: Study, scope: ObjectiveScope) -> None:
    await study.record(uses(NOW, 48, bad=10))
    value = {ObjectiveScope.TOTAL: None, ObjectiveScope.SERVICE: "web", ObjectiveScope.FEATURE: "chat"}[scope]
    slow = spec(name="fast", indicator=Indicator.LATENCY, threshold_ms=2000, scope=scope, value=value)
    raw = (await study.operations.objectives().put(slow)).answer
    await study.analytics.roller().run()
    rolled = (await study.operations.objectives().put(slow)).answer

    assert (raw["total"], raw["bad"]) == (2880, 288)
    assert raw == rolled
    patient = spec(name="fast", indicator=Indicator.LATENCY, threshold_ms=3100, scope=scope, value=value)
    assert (await study.operations.objectives().put(patient)).answer["bad"] == 0


async def burn(study: Study) -> Sequence[str]:
    """Let one request in four fail for an hour, and deliver the alerts; return the notices so far."""
    await study.operations.jobs().watch()
    return [alert.notice or "" for alert in study.inbox.alerts]


async def test_a_fast_burn_is_one_alert_until_it_ends_and_a_new_one_after_it(study: Study) -> None:
    await study.record(uses(NOW - HOUR, 70, every=120))
    objectives = study.operations.objectives()
    await objectives.put(spec())
    assert await burn(study) == []

    await study.record(uses(NOW, 1, every=10, bad=4))
    (notice,) = await burn(study)
    assert notice.startswith("objective up: 90 of 360 requests of all use (25 %) failed in the last 1 hour")
    study.clock.advance(minutes=1)
    assert await burn(study) == [notice]
    (status,) = await objectives.objectives()
    assert {(alert.rule, alert.ended_at) for alert in status.alerts} == {
        ("fast", None),
        ("medium", None),
        ("slow", None),
    }
    assert [alert.deliveries for alert in status.alerts if alert.deliveries] == [(("inbox", "delivered"),)]

    later = NOW + 80 * HOUR
    study.clock.advance(hours=80, minutes=-1)
    await study.record(uses(later, 80, every=120))
    assert await burn(study) == [notice]
    assert all(alert.ended_at is not None for alert in (await objectives.objectives())[0].alerts)
    await study.record([{**each, "id": f"again-{each['id']}"} for each in uses(later, 1, every=10, bad=2)])
    assert len(await burn(study)) == 2


async def test_an_alert_names_the_objective_and_is_a_webhook_event_of_its_own(study: Study) -> None:
    await study.record(uses(NOW, 2, every=10, bad=4))
    await study.operations.objectives().put(spec())
    await burn(study)
    (alert,) = study.inbox.alerts

    body = body_of(alert)
    assert body["type"] == "usage.objective"
    assert (body["data"]["objective"], body["data"]["level"], body["data"]["burn_rate"]) == ("up", "critical", 25)
    assert subject(alert).startswith("CRITICAL: objective up: ")


async def test_in_quiet_hours_an_alert_of_an_objective_waits(study: Study) -> None:
    study.operations.settings.override(Settings(insights_quiet_hours="9-13"))
    await study.record(uses(NOW, 2, every=10, bad=4))
    await study.operations.objectives().put(spec())

    assert await burn(study) == []
    study.clock.advance(hours=3)
    assert len(await burn(study)) == 1


async def test_a_changed_objective_starts_anew_and_an_idle_one_is_not_measured(study: Study) -> None:
    await study.record(uses(NOW, 2, every=10, bad=4))
    objectives = study.operations.objectives()
    await objectives.put(spec())
    relaxed = await objectives.put(spec(target_percent=Decimal(50)))

    assert relaxed.objective.revision == 2
    assert all(alert.ended_at is not None for alert in relaxed.alerts)
    idle = await objectives.put(spec(active=False, target_percent=Decimal(99)))
    assert (idle.result, idle.checked_at) == (None, None)
    assert await objectives.check() == 0


async def test_too_few_requests_have_no_status_and_an_unknown_feature_no_objective(study: Study) -> None:
    await study.record(uses(NOW, 1))
    objectives = study.operations.objectives()
    status = await objectives.put(spec())

    assert status.result is not None
    assert (status.result.enough, status.answer) == (False, {})
    assert status.result.evidence.limits[0] == "needs 100 requests in the window"
    with pytest.raises(InvalidError, match="no feature 'nope'"):
        await objectives.put(spec(scope=ObjectiveScope.FEATURE, value="nope"))
    await objectives.remove("up")
    with pytest.raises(UnknownObjectiveError):
        await objectives.remove("up")


async def test_a_window_of_one_day_and_a_new_month_do_not_confuse_the_counts(study: Study) -> None:
    midnight = datetime(2026, 6, 1, tzinfo=UTC)
    await study.record([*uses(midnight, 3), *uses(NOW, 3, bad=1)])
    status = await study.operations.objectives().put(spec(window_days=1))

    assert (status.answer["total"], status.answer["bad"]) == (180, 180)
    assert status.result is not None
    assert status.result.evidence.start == midnight
