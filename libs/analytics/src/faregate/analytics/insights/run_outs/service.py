"""Run-out service: when wallets and quotas are used up."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from faregate.analytics.insights.asking import ask_of
from faregate.analytics.insights.keeping import InsightKeeper
from faregate.analytics.insights.run_outs.pace import LEAST_DAYS, UsePace, pace_of
from faregate.analytics.insights.run_outs.repository import OutlookRepository
from faregate.analytics.insights.run_outs.simulation import drain
from faregate.analytics.insights.run_outs.values import DailyUse, Drain, WalletOutlook
from faregate.analytics.insights.values import Ask, Evidence, Insight, InsightKind, InsightResult, PersonFinding
from faregate.analytics.question.calendar import period_at
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.analytics.quotas.service import QuotaService
from faregate.analytics.quotas.values import EVERYBODY, QuotaStatus
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.values.time_zones import time_zone

__all__ = ["RunOutService"]

_HISTORY_DAYS = 70
_HORIZON_DAYS = 92
_WALLETS = 1000
_QUOTAS = 1000
_KEPT = timedelta(hours=1)
_NEARLY = Decimal("0.95")


class RunOutService:
    """Simulates wallets at their own pace of use; results are kept for an hour."""

    def __init__(
        self,
        database: Database,
        repository: OutlookRepository,
        quotas: QuotaService,
        keeper: InsightKeeper,
        clock: IClock,
    ) -> None:
        self._database = database
        self._repository = repository
        self._quotas = quotas
        self._keeper = keeper
        self._clock = clock

    async def run_outs(self, timezone: str = "UTC", *, owner_id: str | None = None, limit: int = 100) -> Insight:
        """Return when the wallets and quotas with the most use run out, the earliest first; or those of one owner.

        Args:
            timezone: of the days of the week.
        """
        now = self._clock.now()
        ask = run_outs_ask(timezone, now, owner_id)
        return await self._keeper.current(
            ask, lambda: self._compute(timezone, owner_id), made_since=now - _KEPT, people=limit
        )

    async def _compute(self, timezone: str, owner_id: str | None) -> InsightResult:
        now, zone = self._clock.now(), time_zone(timezone)
        today = period_at(now, "day", zone)
        span = TimeRange(period_at(today - timedelta(days=_HISTORY_DAYS), "day", zone), today, timezone)
        async with self._database.reading(isolation="REPEATABLE READ") as session:
            use = await self._repository.daily_use(session, span, owner_id=owner_id, limit=_WALLETS)
            wallets = await self._repository.outlooks(session, list(use), now=now)
        facts = await asyncio.to_thread(_all_facts, wallets, use, now, timezone)
        quotas = await self._quota_facts(owner_id)
        found = sorted([*facts, *(each for each in quotas if each[0])], key=_urgency)
        people = [PersonFinding(subject_id, rank, each) for rank, (subject_id, each) in enumerate(found, start=1)]
        everybody = [each for subject_id, each in quotas if not subject_id]
        short = len(wallets) - len(facts)
        evidence = _evidence(span, len(facts), short, has_quotas=bool(quotas))
        return InsightResult(bool(facts or quotas), evidence, {"quotas": everybody, "too_short": short}, people)

    async def _quota_facts(self, owner_id: str | None) -> list[tuple[int, Mapping[str, Any]]]:
        quotas = await self._quotas.quotas(owner_id=owner_id, limit=_QUOTAS)
        active = [quota for quota in quotas if quota.spec.active]
        async with self._database.transaction(read_only=True) as session:
            statuses = await self._quotas.statuses(session, active)
        return [(status.quota.subject_id or 0, _quota(status)) for status in statuses]


def run_outs_ask(timezone: str, now: datetime, owner_id: str | None) -> Ask:
    """Return the ask of run-out dates."""
    filters = Filters(user_id=owner_id) if owner_id not in {None, EVERYBODY} else Filters()
    question = Question(TimeRange(now - _KEPT, now, timezone), filters)
    return ask_of(InsightKind.RUN_OUTS, question)


def _all_facts(
    wallets: Sequence[WalletOutlook], use: Mapping[int, DailyUse], now: datetime, timezone: str
) -> list[tuple[int, Mapping[str, Any]]]:
    found: list[tuple[int, Mapping[str, Any]]] = []
    for wallet in wallets:
        own = use[wallet.subject_id]
        today = now.astimezone(time_zone(timezone)).date()
        pace = pace_of(own, today, _cut_short(wallet, own))
        if pace is not None:
            found.append((wallet.subject_id, _wallet(wallet, pace, now, timezone)))
    return found


def _cut_short(wallet: WalletOutlook, use: DailyUse) -> frozenset[date]:
    """Return the days that a daily limit ended early."""
    limits = [cap.limit for cap in wallet.caps if cap.period == "day"]
    return frozenset(day for day in use.days if any(use.total(day) >= limit * _NEARLY for limit in limits))


def _wallet(wallet: WalletOutlook, pace: UsePace, now: datetime, timezone: str) -> dict[str, Any]:
    zone = time_zone(timezone)

    def at(factor: Decimal | None, *, topped_up: bool = True) -> Drain | None:
        if factor is None:
            return None
        simulated = wallet if topped_up else replace(wallet, top_up=None)
        return drain(simulated, lambda day: pace.on(day, factor), now=now, days=_HORIZON_DAYS, zone=zone)

    middle, early, late = at(Decimal(1)), at(pace.fast), at(pace.slow)
    bare = at(Decimal(1), topped_up=False) if wallet.top_up is not None else middle
    assert middle is not None  # noqa: S101  the factor is 1
    assert bare is not None  # noqa: S101
    return {
        "about": "wallet",
        "plan": wallet.plan,
        "balance": wallet.balance,
        "per_week": sum((sum(day.values(), Decimal(0)) for day in pace.by_weekday), Decimal(0)),
        "runs_out_at": middle.empty_at,
        "earliest_at": early.empty_at if early is not None else None,
        "latest_at": late.empty_at if late is not None else None,
        "without_top_ups_at": bare.empty_at,
        "refilled_at": middle.refilled_at,
        "capped_at": middle.capped_at,
        "expiring": middle.expiring,
        "top_ups": len(middle.top_ups),
        "notes": _notes(wallet, pace, middle),
    }


def _notes(wallet: WalletOutlook, pace: UsePace, found: Drain) -> list[str]:
    notes: list[str] = []
    if found.empty_at is None:
        notes.append(f"does not run out within {_HORIZON_DAYS} days at this pace")
    if pace.slow is None:
        notes.append("too little history to say how far the pace may be off")
    if pace.left_out:
        notes.append(f"{pace.left_out} days that a daily limit ended early do not count: more was wanted than was used")
    if wallet.top_up is not None and found.top_ups:
        notes.append(f"{len(found.top_ups)} automatic top-ups are assumed to be paid")
    if found.refilled_at is not None:
        notes.append(f"is filled again on {found.refilled_at:%Y-%m-%d %H:%M} UTC")
    return notes


def _quota(status: QuotaStatus) -> dict[str, Any]:
    expected, spec = status.prediction, status.quota.spec
    return {
        "about": "quota",
        "quota_id": status.quota.id,
        "meter": spec.meter,
        "period": spec.period.value,
        "used": status.used,
        "limit": spec.limit,
        "runs_out_at": expected.runs_out_at if expected else None,
        "earliest_at": expected.earliest_at if expected else None,
        "latest_at": expected.latest_at if expected else None,
        "refilled_at": status.window.end,
        "notes": [] if expected else ["too early in the period to say"],
    }


def _urgency(item: tuple[int, Mapping[str, Any]]) -> tuple[bool, float]:
    at = item[1]["runs_out_at"]
    return at is None, at.timestamp() if at is not None else 0.0


def _evidence(span: TimeRange, sample: int, short: int, *, has_quotas: bool) -> Evidence:
    limits = [
        f"wallets with less than {LEAST_DAYS} days since their first charge have no date: {short}",
        "purchases that are not automatic are not foreseen",
        f"at most the {_WALLETS} wallets with the most charges, {_HORIZON_DAYS} days ahead",
    ]
    if has_quotas:
        limits.append("quotas: from the pace of the running period alone, without days of the week")
    return Evidence(
        method="simulation of each wallet: its mean charges by day of the week in four weeks, its grants in their order of "
        "use, renewals, expiries, automatic top-ups, holds and spending limits",
        sample=sample,
        sampled="wallets",
        start=span.start,
        end=span.end,
        uncertainty="the earliest and latest dates are at the pace that held 80 % of past weeks, each wallet's own",
        limits=tuple(limits),
    )
