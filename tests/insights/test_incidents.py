"""Incidents: what changed, whom it hit, what to give back."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from insights.conftest import NOW, Study

from faregate.analytics.insights.errors import UnknownIncidentError
from faregate.analytics.insights.operations.incidents.refunds import Refunds
from faregate.analytics.insights.operations.incidents.values import GiveBack, GiveBackRule
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.core.clock import SystemClock
from faregate.core.errors import InvalidError
from faregate.credit.ledger.states import TransferNote
from faregate.credit.proof.verify import Verifier
from faregate.usage.values import FeatureRef, ModelUsage, Settled, SettleRequest
from faregate.wire.credits import to_micros
from faregate.wire.ids import new_uuid7

HOUR = timedelta(hours=1)
SPAN = TimeRange(NOW - 2 * HOUR, NOW - HOUR)
ALL = GiveBack(GiveBackRule.ALL)


def traffic(start_hours: float, *, bad: int = 0, country: str = "DE", count: int = 60) -> list[dict[str, Any]]:
    """Return requests over one hour that begins `start_hours` before now; one in `bad` fails slowly."""
    begin = NOW - start_hours * HOUR
    return [
        {
            "id": f"{start_hours}-{country}-{n}",
            "user_id": f"u{n % 4}",
            "service": "web",
            "feature_key": "chat",
            "model": "gpt-4o",
            "country": country,
            "time": begin + n * HOUR / count + timedelta(seconds=1),
            "status": 502 if bad and n % bad == 0 else 200,
            "latency_ms": 9000 if bad and n % bad == 0 else 300,
            "credits": 2,
        }
        for n in range(count)
    ]


async def settle(study: Study, *keys: str, user: str = "ada", duration_ms: int = 100) -> None:
    """Settle uses of 1 credit and more; PostgreSQL has the time of a settlement, so that the clock is set to just after it."""
    study.clock.advance(seconds=(SystemClock().now() - study.clock.now()).total_seconds() + 60)
    usage = ModelUsage(model="gpt-4o", tokens={"input_tokens": 1000, "output_tokens": 1000})
    for key in keys:
        request = SettleRequest(key, user, FeatureRef(value="chat"), (usage,), duration_ms=duration_ms)
        (done,) = await study.library.service.settle_batch([request])
        assert isinstance(done, Settled), done


def during(study: Study) -> Question:
    """Return the question for the hour around the clock."""
    now = study.clock.now()
    return Question(TimeRange(now - HOUR, now + HOUR))


async def test_it_says_what_changed_and_whom_it_hit(study: Study) -> None:
    await study.record([*traffic(3), *traffic(2, bad=4), *traffic(2, country="FR"), *traffic(1), *traffic(170)])
    await study.analytics.roller().run()
    result = (await study.operations.incidents().incident(Question(SPAN))).result

    spans = result.answer["spans"]
    assert {name: (each["requests"], each["errors"]) for name, each in spans.items()} == {
        "before": (60, 0),
        "during": (120, 15),
        "after": (60, 0),
        "week_before": (60, 0),
    }
    assert result.answer["sentences"][:3] == [
        "failed requests rose from 0 to 12.5 %",
        "mean latency rose from 300 to 1,387.5 ms",
        "requests rose from 60 to 120",
    ]
    countries = {each["value"]: each for each in result.answer["changes"] if each["dimension"] == "country"}
    assert list(countries) == ["DE", "FR"]
    assert (countries["DE"]["during"]["errors"], "before" in countries["FR"]) == (15, False)
    hit = {each.user_id: each.facts["failed"] for each in result.people}
    assert hit == {"u0": 15}
    assert (result.answer["cost"]["failed_requests"], result.answer["cost"]["missing_credits"]) == (15, 0)


async def test_less_use_than_a_week_before_is_an_estimate_of_missing_credits(study: Study) -> None:
    await study.record([*traffic(170), *traffic(2, count=20), *traffic(3, count=20)])
    cost = (await study.operations.incidents().incident(Question(SPAN))).result.answer["cost"]

    assert (cost["compared_with"], cost["missing_credits"]) == ("week_before", 80)


async def test_too_few_requests_are_no_incident(study: Study) -> None:
    await study.record(traffic(2, count=19))
    result = (await study.operations.incidents().incident(Question(SPAN))).result

    assert (result.enough, result.answer, result.people) == (False, {}, [])
    assert result.evidence.limits[0].startswith("needs 20 requests")


@pytest.mark.parametrize(
    ("span", "filters", "param"),
    [
        (TimeRange(NOW, NOW + HOUR), Filters(), "startDate"),
        (TimeRange(NOW - timedelta(days=32), NOW), Filters(), "startDate"),
        (SPAN, Filters(status="error"), "status"),
        (SPAN, Filters(country="DE"), "country"),
    ],
)
async def test_a_span_or_filter_that_says_nothing_is_refused(
    study: Study, span: TimeRange, filters: Filters, param: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        await study.operations.incidents().incident(Question(span, filters))
    assert refused.value.param == param


@pytest.mark.parametrize(("rule", "slower"), [(GiveBackRule.SLOW, None), (GiveBackRule.ALL, 5), (GiveBackRule.SLOW, 0)])
def test_the_threshold_belongs_to_slow_uses(rule: GiveBackRule, slower: int | None) -> None:
    with pytest.raises(InvalidError, match="slowerThanMs"):
        GiveBack(rule, slower)


async def test_slow_uses_are_prepared_without_what_is_refunded(study: Study) -> None:
    await study.library.grant("ada", 100)
    await settle(study, *(f"ok-{n}" for n in range(20)))
    await settle(study, "slow-1", "slow-2", duration_ms=20_000)
    await study.library.credit.bookkeeping().refund(
        (await study.library.usage.wallets().transactions("ada", before=None, limit=1))[0].id,
        amount=to_micros(Decimal("0.5")),
        note=TransferNote(actor="ops", reason="half of it"),
    )
    slow = GiveBack(GiveBackRule.SLOW, 10_000)
    result = (await study.operations.incidents().incident(during(study), slow)).result

    ((ada),) = result.people
    whole, half = ada.facts["uses"]
    assert (whole["usage_key"], half["usage_key"]) == ("slow-1", "slow-2")
    assert whole["credits"] - half["credits"] == Decimal("0.5")
    assert result.answer["give_back"] == {
        "rule": "slow",
        "users": 1,
        "uses": 2,
        "credits": whole["credits"] + half["credits"],
    }


async def give_back(study: Study, incident_id: UUID, **more: int) -> Refunds:
    return await study.operations.incident_refunds().refund(incident_id, actor="ops", reason="outage", **more)


async def balance(study: Study, owner: str) -> Decimal:
    return (await study.library.usage.wallets().get(owner))[0].balance


async def test_the_prepared_refunds_give_back_once_however_often_they_are_confirmed(study: Study) -> None:
    for owner in ("ada", "bob"):
        await study.library.grant(owner, 100)
        await settle(study, *(f"{owner}-{n}" for n in range(12)), user=owner)
    incident = await study.operations.incidents().incident(during(study), ALL)
    assert incident.result.answer["give_back"]["uses"] == 24

    rehearsed = await study.operations.incident_refunds().rehearse(incident.id, actor="ops", reason="outage", limit=20)
    assert await balance(study, "ada") < 100
    first = await give_back(study, incident.id, limit=20)
    assert rehearsed == first
    again = await give_back(study, incident.id, limit=20)
    rest = await give_back(study, incident.id, first=21)

    assert (len(first.uses), first.next, again) == (20, 21, first)
    assert (len(rest.uses), rest.next) == (4, None)
    assert first.credits + rest.credits == incident.result.answer["give_back"]["credits"]
    assert [await balance(study, owner) for owner in ("ada", "bob")] == [100, 100]
    assert not (await Verifier(study.database).verify()).drifts
    study.clock.advance(minutes=30)
    later = await study.operations.incidents().incident(during(study), ALL)
    assert later.result.answer["give_back"]["uses"] == 0


async def test_what_was_refunded_by_hand_meanwhile_is_skipped_with_the_reason(study: Study) -> None:
    await study.library.grant("ada", 100)
    await settle(study, *(f"use-{n}" for n in range(20)))
    incident = await study.operations.incidents().incident(during(study), ALL)
    (newest,) = await study.library.usage.wallets().transactions("ada", before=None, limit=1)
    await study.library.credit.bookkeeping().refund(
        newest.id, amount=None, note=TransferNote(actor="ops", reason="by hand")
    )

    done = await give_back(study, incident.id)

    (skipped,) = [use for use in done.uses if use.problem is not None]
    assert skipped.usage_key == newest.usage_key
    assert "can still be refunded" in (skipped.problem or "")
    assert await balance(study, "ada") == 100


async def test_only_incidents_have_refunds(study: Study) -> None:
    await study.record(traffic(30))
    other = await study.insights.customers().cohorts(Question(SPAN))

    for unknown in (new_uuid7(), other.id):
        with pytest.raises(UnknownIncidentError):
            await give_back(study, unknown)
