"""Budgets: use so far, burn, outlook, and alerts that fire once."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from insights.conftest import NOW, Study

from faregate.analytics.insights import numeric
from faregate.analytics.insights.budgets.values import BudgetScope, BudgetSpec
from faregate.analytics.insights.errors import UnknownBudgetError
from faregate.analytics.quotas.levels import Level, Thresholds
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.core.errors import InvalidError

MONTH_START = NOW.replace(day=1, hour=0, minute=0)
MAY = BudgetSpec("may", BudgetScope.BUSINESS, None, "credits", Decimal(1000))


def days(count: int, credits: int | str, **more: Any) -> list[dict[str, Any]]:
    """Return one use at noon of each of the days before the last complete one, and of that."""
    noon = NOW.replace(hour=9, minute=0)
    return [
        {"user_id": "ada", "service": "chat", "time": noon - timedelta(days=back), "credits": Decimal(credits), **more}
        for back in range(1, count + 1)
    ]


async def test_a_budget_shows_its_burn_and_an_outlook_from_the_forecast(study: Study) -> None:
    study.clock.advance(days=10)  # 11 June
    await study.record([{**each, "time": each["time"] + timedelta(days=10)} for each in days(120, 50)])
    budgets = study.insights.budgets()
    await budgets.put(MAY)

    (status,) = await budgets.statuses()

    assert (status.used, status.percent, status.level) == (500, 50, None)
    assert status.elapsed == Decimal("0.3477")
    assert status.burn == Decimal("1.438")
    assert status.outlook is not None
    assert (status.outlook.expected, status.outlook.low, status.outlook.high) == (1500, 1500, 1500)
    assert status.outlook.runs_out_at == MONTH_START + timedelta(days=20)
    assert status.evidence.limits[0].startswith("the forecast is made once a day")


async def test_without_history_there_is_a_burn_but_no_outlook(study: Study) -> None:
    study.clock.advance(days=10)
    await study.record([{**each, "time": each["time"] + timedelta(days=10)} for each in days(5, 50)])
    await study.insights.budgets().put(MAY)

    status = await study.insights.budgets().status("may")

    assert (status.used, status.outlook) == (250, None)
    assert "not enough history" in status.evidence.limits[0]


async def test_a_budget_counts_what_it_names_and_in_its_unit(study: Study) -> None:
    chat = {"feature_key": "chat", "model": "gpt-4o", "input_tokens": 10, "cost_usd": Decimal("0.25")}
    await study.record(
        [{**days(1, 10)[0], **chat, "time": NOW}, {**days(1, 7)[0], "feature_key": "essay", "time": NOW}]
    )
    budgets = study.insights.budgets()
    await budgets.put(replace(MAY, name="a", scope=BudgetScope.FEATURE, value="chat"))
    await budgets.put(replace(MAY, name="b", scope=BudgetScope.MODEL, value="openai/gpt-4o", unit="cost_usd"))
    await budgets.put(replace(MAY, name="c", scope=BudgetScope.ORGANIZATION, value="acme"))

    found = {each.budget.spec.name: each.used for each in await budgets.statuses()}

    assert found == {"a": 10, "b": Decimal("0.25"), "c": 0}
    assert (await budgets.status("c")).budget.spec.value == "acme"


async def test_each_threshold_alerts_once_by_the_channels_of_quotas(study: Study) -> None:
    budgets, jobs = study.insights.budgets(), study.insights.jobs()
    await budgets.put(replace(MAY, amount=Decimal(100), emails=("cfo@example.com",)))
    await study.record([{**days(1, 80)[0], "time": NOW}])
    assert [await budgets.check(), await budgets.check()] == [1, 0]
    await jobs.deliver()
    await study.record([{**days(1, 30)[0], "time": NOW, "id": "more"}])
    assert [await budgets.check(), await budgets.check()] == [1, 0]
    await jobs.deliver()

    warning, exceeded = study.inbox.alerts
    assert (warning.level, exceeded.level) == (Level.WARNING, Level.EXCEEDED)
    assert exceeded.notice == "budget may has used 110 of 100 credits this month (110 %)"
    assert exceeded.emails == ("cfo@example.com",)
    status = await budgets.status("may")
    assert [alert.level for alert in status.alerts] == [Level.WARNING, Level.CRITICAL, Level.EXCEEDED]
    assert status.alerts[-1].deliveries == (("inbox", "delivered"),)

    await budgets.put(replace(MAY, amount=Decimal(110), emails=("cfo@example.com",)))
    assert await budgets.check() == 1, "another amount may alert again"


async def test_an_expected_excess_alerts_before_it_comes(study: Study) -> None:
    study.clock.advance(days=10)
    await study.record([{**each, "time": each["time"] + timedelta(days=10)} for each in days(120, 50)])
    budgets = study.insights.budgets()
    await budgets.put(MAY)

    assert [await budgets.check(), await budgets.check()] == [1, 0]
    await study.insights.jobs().deliver()

    (alert,) = study.inbox.alerts
    assert alert.level is Level.PREDICTED
    assert alert.notice is not None
    assert alert.notice.endswith("1,500 credits are expected by its end")


async def test_budgets_work_without_the_extra(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    await study.record([{**days(1, 80)[0], "time": NOW}])
    await study.insights.budgets().put(replace(MAY, amount=Decimal(100)))
    monkeypatch.setattr(numeric, "_MODULES", ("a_module_that_is_not_there",))

    await study.insights.jobs().hourly()

    status = await study.insights.budgets().status("may")
    assert [alert.level for alert in status.alerts] == [Level.WARNING]
    assert 'pip install "faregate[insights]"' in status.evidence.limits[0]


async def test_the_same_budget_again_changes_nothing_and_a_removed_one_is_unknown(study: Study) -> None:
    budgets = study.insights.budgets()
    first = await budgets.put(MAY)
    assert (await budgets.put(MAY)).revision == first.revision
    assert (await budgets.put(replace(MAY, thresholds=Thresholds(Decimal(50))))).revision == first.revision + 1
    await budgets.remove("may")
    with pytest.raises(UnknownBudgetError):
        await budgets.remove("may")


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"name": "big spenders"}, "name"),
        ({"name": "sk-proj-abcdefghijklmnopqrstuvwx"}, "name"),
        ({"amount": Decimal(0)}, "amount"),
        ({"period": QuotaPeriod.HOUR}, "period"),
        ({"value": "chat"}, "value"),
        ({"scope": BudgetScope.FEATURE, "value": "chta"}, "value"),
        ({"scope": BudgetScope.MODEL}, "value"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"emails": ("nobody",)}, "emails"),
    ],
)
async def test_an_invalid_budget_is_refused_with_the_name_of_the_field(
    study: Study, changed: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        await study.insights.budgets().put(replace(MAY, **changed))
    assert refused.value.param == param
