"""Cohorts, adoption, churn, segments and upsell of recorded use."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID

import pytest
from insights.conftest import NOW, Study

from faregate.analytics.insights.customers.churn import churn_check, churn_risks
from faregate.analytics.insights.customers.cohorts import cohorts_of
from faregate.analytics.insights.customers.segment_rules import Condition, SegmentRule
from faregate.analytics.insights.customers.segments import RfmSegment, rfm_scores
from faregate.analytics.insights.customers.upsell import monthly_grants, upsell_hint
from faregate.analytics.insights.customers.values import UserActivity, UserSums
from faregate.analytics.insights.errors import UnknownSegmentError
from faregate.analytics.question.filters import Question, time_range
from faregate.core.errors import InvalidError
from faregate.usage.accounts.wallets import WalletChange
from faregate.usage.features.plans import Plan, PlanGrant

TODAY = NOW.replace(hour=0, minute=0)
QUESTION = Question(time_range(None, None, "UTC", now=NOW))
START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""


def sums(requests: int = 0, credits: int = 0, *, errors: int = 0) -> UserSums:
    return UserSums(requests, errors, 1000 * requests, Decimal(credits), Decimal(credits), Decimal(requests) / 100)


def user(number: int, days: Sequence[int], credits: int = 10, *, recent: int = 10, before: int = 10) -> UserActivity:
    at = START + timedelta(days=days[-1])
    return UserActivity(number, tuple(days), at, sums(len(days), credits), sums(recent, recent), sums(before, before))


def use(name: str, days_ago: float, **more: Any) -> dict[str, Any]:
    return {"user_id": name, "service": "chat", "time": NOW - timedelta(days=days_ago), **more}


def test_a_cohort_is_counted_in_its_own_week_and_in_each_week_after() -> None:
    days = [START + timedelta(days=each) for each in range(29)]
    weeks = [START + timedelta(weeks=each) for each in range(5)]
    users = [*(user(n, [7, 8, 14]) for n in range(6)), *(user(n, [9, 27]) for n in range(6, 12)), user(99, [14])]

    (cohort,), small = cohorts_of(users, days, weeks)

    assert (cohort.period, cohort.users, cohort.active) == (weeks[1], 12, (12, 6, 6))
    assert cohort.retention == (Decimal(1), Decimal("0.5"), Decimal("0.5"))
    assert cohort.activated == Decimal("0.5")
    assert small == 1


def test_who_came_in_the_first_week_may_have_come_before_it() -> None:
    days = [START + timedelta(days=each) for each in range(15)]
    weeks = [START + timedelta(weeks=each) for each in range(3)]

    assert cohorts_of([user(n, [1, 8]) for n in range(20)], days, weeks) == ([], 0)


def regulars(count: int = 60) -> list[UserActivity]:
    """Return users who come every second to fifth day until the last."""
    return [user(n, range(n % 7, 100, 2 + n % 4)) for n in range(count)]


def test_a_user_who_stops_is_first_with_the_reasons() -> None:
    gone = user(999, range(0, 60, 2), recent=0, before=4)
    risks = churn_risks([*regulars(), gone], 100, {999: Decimal(0)})

    assert risks[0].user is gone
    assert risks[0].risk > Decimal("0.9")
    assert risks[1].risk < Decimal("0.5")
    assert risks[0].reasons == (
        "silent for 41 days; came every 2.0 days before",
        "0 requests in the last 28 days, 4 in those before",
        "no credits left",
    )


def visitors(count: int, days: int) -> list[UserActivity]:
    """Return users as the model sees them: each with a rate, and a chance to stop after each visit."""
    chance, found = Random(7), list[UserActivity]()
    for number in range(count):
        day, rate, leaves = chance.randrange(days // 2), chance.gammavariate(2, 0.15), chance.betavariate(1, 8)
        active = {day}
        at = float(day)
        while (at := at + chance.expovariate(rate)) < days and chance.random() >= leaves:
            active.add(int(at))
        found.append(user(number, sorted(active)))
    return found


def test_the_model_is_tested_on_days_that_it_did_not_know() -> None:
    check = churn_check(visitors(400, 120), 120)

    assert check is not None
    assert check.users > 200
    assert check.ranked > Decimal("0.75")
    assert abs(check.expected / check.came - 1) < Decimal("0.2")


def test_where_nobody_ever_stops_everybody_is_expected_at_the_own_rate() -> None:
    chance = Random(5)
    faithful = [user(n, sorted({0, 1, 29, *(chance.randrange(30) for _ in range(18))})) for n in range(300)]
    risks = churn_risks(faithful, 30, {})

    assert all(each.risk < Decimal("0.05") for each in risks)
    assert all(each.expected_days.is_finite() for each in risks)
    expected, active = sum(float(each.expected_days) for each in risks), sum(len(each.days) for each in faithful)
    assert abs(expected / active - 1) < 0.15


def test_fifths_name_the_segments() -> None:
    users = [user(n, range(99 - n, 100 - n // 2), credits=1000 - 10 * n) for n in range(50)]
    scores = {score.user.subject_id: score for score in rfm_scores([*users, user(99, [99], credits=1)])}

    assert scores[99].segment is RfmSegment.NEW
    assert {score.money for score in scores.values()} == {1, 2, 3, 4, 5}
    assert scores[0].money == 5
    assert {scores[49].segment} <= {RfmSegment.LOYAL, RfmSegment.AT_RISK}


def test_equal_users_have_equal_scores() -> None:
    scores = rfm_scores([user(n, [5, 6]) for n in range(30)])
    assert len({(score.recency, score.frequency, score.money) for score in scores}) == 1


@pytest.mark.parametrize(
    ("conditions", "problem"),
    [((), "at least one"), ((Condition("age", ">", Decimal(1)),), "days_since_last"), ((Condition("credits", "~", Decimal(1)),), ">=")],
)  # fmt: skip
def test_a_segment_rule_that_cannot_hold_is_refused(conditions: tuple[Condition, ...], problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        SegmentRule("vip", conditions)


PLANS = {
    "small": Plan("small", grants=(PlanGrant(Decimal(100), "month"),)),
    "large": Plan("large", grants=(PlanGrant(Decimal(100), "week"),)),
    "cheap": Plan("cheap", margin_percent=Decimal(0), grants=(PlanGrant(Decimal(50), "month"),)),
}


def test_the_grants_of_a_plan_are_compared_by_month() -> None:
    assert monthly_grants(None) == 0
    assert abs(monthly_grants(PLANS["small"]) - 100) < 1
    assert abs(monthly_grants(PLANS["large"]) - Decimal("434.8")) < 1


def test_the_wrong_plan_is_named_with_what_each_would_have_cost() -> None:
    hint = upsell_hint(user(1, [99], recent=280, before=200), "small", PLANS, margin_percent=Decimal(20), credit_price_usd=Decimal("0.01"))  # fmt: skip

    assert hint is not None
    assert [cost.plan for cost in hint.costs] == ["small", "large", "cheap"]
    small, large, cheap = hint.costs
    assert small.used == Decimal("304.375")
    assert abs(small.beyond - Decimal("204.4")) < 1
    assert small.beyond_usd == Decimal("2.05")
    assert (large.beyond, hint.best.plan) == (0, "large")
    assert cheap.used == (small.used / Decimal("1.2")).quantize(Decimal("0.000001"))
    assert hint.growth == Decimal("0.4")
    assert len(hint.reasons) == 3


def test_a_user_with_nearly_no_use_or_no_reason_has_no_hint() -> None:
    options: Any = {"margin_percent": Decimal(20), "credit_price_usd": Decimal("0.01")}
    assert upsell_hint(user(1, [99], recent=0), "small", PLANS, **options) is None
    assert upsell_hint(user(1, [99], recent=20, before=20), "small", PLANS, **options) is None


async def test_cohorts_of_recorded_use_stand_with_their_evidence(study: Study) -> None:
    await study.record([use("old", 300), *(use(f"u{n}", ago) for n in range(12) for ago in (20.1, 12.1))])

    found = (await study.insights.customers().cohorts(QUESTION, "week")).result

    assert found.enough
    (cohort,) = found.answer["cohorts"]
    assert (cohort["users"], cohort["active"]) == (12, [12, 12, 0])
    assert found.evidence.sample == 13
    assert "no newcomer" in found.evidence.limits[1]


async def test_few_users_have_no_churn_no_segments_and_no_adoption(study: Study) -> None:
    await study.record([use(f"u{n}", ago, feature_key="chat") for n in range(5) for ago in (3, 9)])
    customers = study.insights.customers()

    for insight in (
        await customers.churn(QUESTION),
        await customers.segments(QUESTION),
        await customers.adoption(QUESTION),
    ):
        assert (insight.result.enough, insight.result.answer, insight.result.people) == (False, {}, [])
        assert insight.result.evidence.limits


async def test_the_adoption_of_a_feature_is_a_fraction_of_all_active_users(study: Study) -> None:
    chat = [use(f"u{n}", ago, feature_key="chat") for n in range(10) for ago in (3, 40)]
    await study.record([*chat, *(use(f"u{n}", ago, feature_key="essay") for n in range(5) for ago in (2, 5))])

    answer = (await study.insights.customers().adoption(QUESTION)).result.answer

    rates = [(each["feature"], each["rate"], each["rate_before"], each["repeated"]) for each in answer["features"]]
    assert rates == [("chat", 1, 1, 0), ("essay", Decimal("0.5"), 0, 5)]


async def test_segments_contain_declared_ones_and_names_are_read_when_asked(study: Study) -> None:
    await study.record([use(f"u{n}", 1 + n / 2, credits=n + 1) for n in range(30)])
    customers = study.insights.customers()
    await customers.put_rule(SegmentRule("vip", (Condition("credits", ">=", Decimal(29)),)))

    found = (await customers.segments(QUESTION, limit=2)).result

    assert found.answer["declared"] == [{"name": "vip", "users": 2}]
    assert [(each.user_id, each.facts["declared"]) for each in found.people] == [("u29", ["vip"]), ("u28", ["vip"])]
    assert sum(each["users"] for each in found.answer["segments"]) == 30
    await customers.remove_rule("vip")
    assert await customers.rules() == []
    with pytest.raises(UnknownSegmentError):
        await customers.remove_rule("vip")


async def test_upsell_reads_the_plan_of_the_wallet(study: Study) -> None:
    catalog, wallets = study.library.usage.catalog(), study.library.usage.wallets()
    for plan in PLANS.values():
        await catalog.save_plan(plan)
    await wallets.change("ada", WalletChange({"plan": "small"}))
    await study.record([use("ada", day, credits=20) for day in range(1, 20)])

    (ada,) = (await study.insights.customers().upsell(QUESTION)).result.people

    assert ada.user_id == "ada"
    assert (ada.facts["plan"], ada.facts["best"]) == ("small", "large")


async def test_a_result_is_kept_for_the_day(study: Study) -> None:
    await study.record([use(f"u{n}", 1, credits=1) for n in range(30)])
    customers = study.insights.customers()
    first = await customers.segments(QUESTION)
    study.clock.advance(hours=5)
    assert (await customers.segments(QUESTION)).id == first.id
    study.clock.advance(days=1)
    later = [await customers.segments(QUESTION) for _ in range(2)]
    assert all(before.id == after.id for before, after in pairwise(later))
    assert later[0].id != first.id


async def test_a_missing_result_is_made_a_minute_later_and_anew_makes_those_of_today_again(study: Study) -> None:
    customers, keeper = study.insights.customers(), study.insights.keeper()
    missing = await customers.segments(QUESTION)
    assert not missing.result.enough
    await study.record([use(f"u{n}", 1, credits=1) for n in range(30)])
    study.clock.advance(seconds=61)
    made = await customers.segments(QUESTION)
    assert made.result.enough
    assert (await customers.segments(QUESTION)).id == made.id
    assert await stored(study) == [made.id], "a result without data is not kept beside one with data"

    study.clock.advance(seconds=1)
    keeper.refuse_older()
    again = await customers.segments(QUESTION)
    assert again.id != made.id
    assert (await customers.segments(QUESTION)).id == again.id


async def stored(study: Study) -> list[UUID]:
    """Return the ids of all kept results."""
    async with study.database.transaction(read_only=True) as session:
        return [row.insight_id for row in await study.database.rows(session, "select insight_id from faregate.insight")]
