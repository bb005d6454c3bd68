"""Run-out dates: what a wallet's clock, caps and top-ups do to them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from insights.conftest import NOW, Study

from faregate.analytics.insights.run_outs.pace import pace_of
from faregate.analytics.insights.run_outs.simulation import drain
from faregate.analytics.insights.run_outs.values import Allowance, DailyUse, Drain, SpendCap, WalletOutlook
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.core.values.time_zones import time_zone
from support.quotas import spec

START = datetime(2026, 6, 1, tzinfo=UTC)
ZONE = time_zone("UTC")
DAY = timedelta(days=1)
TEN = {"chat": Decimal(10)}


def wallet(*allowances: Allowance, balance: int | None = None, **more: Any) -> WalletOutlook:
    held = sum((each.remaining for each in allowances if each.active), Decimal(0))
    given: dict[str, Any] = {"plan": None, "held": Decimal(0), "credit_line": Decimal(0), **more}
    return WalletOutlook(1, balance=held if balance is None else Decimal(balance), allowances=allowances, **given)


def grant(remaining: int, rank: int = 1, **more: Any) -> Allowance:
    given: dict[str, Any] = {"effective_at": START - DAY, **more}
    return Allowance(rank, Decimal(remaining), Decimal(remaining), **given)


def after(outlook: WalletOutlook, days: int = 60, wanted: dict[str, Decimal] = TEN) -> Drain:
    return drain(outlook, lambda _: wanted, now=START, days=days, zone=ZONE)


def test_a_wallet_without_events_is_empty_when_its_credits_are_used() -> None:
    assert after(wallet(grant(45))).empty_at == START + timedelta(days=4, hours=12)


def test_a_part_of_a_day_that_cannot_be_divided_evenly_empties_no_wallet() -> None:
    wanted = {"chat": Decimal(4), "draw": Decimal(1) / 3, "paper": Decimal(2)}
    for seconds in range(1, 86_400, 997):
        start = START + timedelta(seconds=seconds)
        assert drain(wallet(grant(1000)), lambda _: wanted, now=start, days=2, zone=ZONE).empty_at is None


def test_held_credits_are_not_used_and_the_credit_line_is() -> None:
    assert after(wallet(grant(45), held=Decimal(15))).empty_at == START + 3 * DAY
    assert after(wallet(grant(45), credit_line=Decimal(15))).empty_at == START + 6 * DAY


def test_credits_that_expire_are_not_used_later() -> None:
    found = after(wallet(grant(100, expires_at=START + 3 * DAY), grant(20, rank=2)))
    assert found.empty_at == START + 5 * DAY
    assert found.expiring == 70


def test_a_renewal_fills_the_wallet_again() -> None:
    monthly = grant(300, every="month", next_at=START + 2 * DAY)
    monthly.remaining = Decimal(40)
    assert after(wallet(monthly)).empty_at == START + 59 * DAY  # 30 days after the renewal of 30 June
    monthly.remaining = Decimal(10)
    found = after(wallet(monthly))
    assert (found.empty_at, found.refilled_at) == (START + DAY, START + 2 * DAY)


def test_a_daily_free_allowance_is_used_before_what_was_bought() -> None:
    free = grant(6, every="day", next_at=START + DAY)
    assert after(wallet(free, grant(20, rank=2))).empty_at == START + timedelta(days=5, hours=14, minutes=24)


def test_an_allowance_that_covers_the_use_never_runs_out() -> None:
    free = grant(12, every="day", next_at=START + DAY)
    found = after(wallet(free))
    assert found.empty_at is None
    assert found.expiring > 100


def test_a_grant_that_begins_later_counts_from_then_on() -> None:
    later = grant(100, rank=2, effective_at=START + 3 * DAY, active=False)
    later.remaining = Decimal(0)
    assert after(wallet(grant(40), later)).empty_at == START + 14 * DAY


def test_credits_for_another_feature_do_not_help() -> None:
    essay = grant(500, features=frozenset({"essay"}))
    assert after(wallet(essay, grant(20, rank=2))).empty_at == START + 2 * DAY
    assert after(wallet(essay), wanted={"essay": Decimal(10)}).empty_at == START + 50 * DAY


def test_automatic_top_ups_keep_a_wallet_from_running_out() -> None:
    found = after(wallet(grant(45), top_up=(Decimal(20), Decimal(100))))
    assert found.empty_at is None
    assert len(found.top_ups) == 6
    assert found.top_ups[0] == START + 2 * DAY


def test_a_daily_limit_ends_the_day_early_and_makes_the_wallet_last() -> None:
    cap = SpendCap("day", Decimal(5), Decimal(0))
    found = after(wallet(grant(45), caps=[cap]))
    assert found.capped_at == START + timedelta(hours=12)
    assert found.empty_at == START + 9 * DAY


def test_a_monthly_limit_counts_what_is_spent_and_ends_with_the_month() -> None:
    cap = SpendCap("month", Decimal(100), Decimal(70))
    found = after(wallet(grant(1000), caps=[cap]))
    assert found.capped_at == START + 3 * DAY


def test_days_with_a_clock_change_spread_their_use_over_23_hours() -> None:
    berlin = time_zone("Europe/Berlin")
    night = datetime(2026, 3, 28, 23, tzinfo=UTC)
    found = drain(wallet(grant(10)), lambda _: TEN, now=night, days=3, zone=berlin)
    assert found.empty_at is None or found.empty_at == night + timedelta(hours=23)
    assert drain(wallet(grant(5)), lambda _: TEN, now=night, days=3, zone=berlin).empty_at == night + timedelta(
        hours=11, minutes=30
    )


def daily(days: int, credits: int = 10, **other: int) -> DailyUse:
    today = START.date()
    found = {today - timedelta(days=back): {"chat": Decimal(credits)} for back in range(1, days + 1)}
    for name, value in other.items():
        found[date.fromisoformat(name.removeprefix("d").replace("_", "-"))] = {"chat": Decimal(value)}
    return DailyUse(found)


def test_a_pace_needs_two_weeks() -> None:
    assert pace_of(daily(13), START.date()) is None
    assert pace_of(DailyUse({}), START.date()) is None
    pace = pace_of(daily(28), START.date())
    assert pace is not None
    assert pace.on(START.date()) == TEN


def test_a_steady_pace_has_a_narrow_range() -> None:
    pace = pace_of(daily(60), START.date())
    assert pace is not None
    assert (pace.slow, pace.fast) == (1, 1)
    short = pace_of(daily(20), START.date())
    assert short is not None
    assert short.slow is None


def test_days_that_a_limit_ended_early_do_not_lower_the_pace() -> None:
    capped = date(2026, 5, 25)
    use = daily(28, d2026_05_25=2)
    pace = pace_of(use, START.date(), [capped])
    assert pace is not None
    assert pace.on(capped)["chat"] == 10
    assert pace.left_out == 1
    lowered = pace_of(use, START.date())
    assert lowered is not None
    assert lowered.on(capped)["chat"] == 8


async def charge(study: Study, owner: str, days: int, credits: int) -> None:
    """Charge an amount on each of the last days, at noon."""
    for back in range(days, 0, -1):
        key = f"{owner}-{back}"
        await study.library.service.debit(owner, "chat", Decimal(credits), usage_key=key)
        at = NOW - timedelta(days=back)
        async with study.database.transaction() as session:
            await study.database.rows(
                session,
                "update faregate.charge set settled_at = :at where usage_key = :key returning 1",
                at=at,
                key=key,
            )


async def test_wallets_are_listed_by_the_date_on_which_they_run_out(study: Study) -> None:
    for owner, credits in (("ada", 400), ("bob", 1000), ("new", 1000)):
        await study.library.grant(owner, credits)
    await charge(study, "ada", 20, 10)
    await charge(study, "bob", 20, 10)
    await charge(study, "new", 5, 10)
    quotas = study.insights.quotas()
    await quotas.put(spec(10, owner_id="*", meter="requests", period=QuotaPeriod.MONTH))

    insight = await study.insights.run_outs().run_outs()

    found = insight.result
    assert [(each.user_id, each.facts["runs_out_at"][:10]) for each in found.people] == [
        ("ada", "2026-06-21"),
        ("bob", "2026-08-20"),
    ]
    assert found.answer["too_short"] == 1
    assert [each["meter"] for each in found.answer["quotas"]] == ["requests"]
    assert (await study.insights.run_outs().run_outs()).id == insight.id
    (only,) = (await study.insights.run_outs().run_outs(owner_id="bob")).result.people
    assert only.user_id == "bob"
