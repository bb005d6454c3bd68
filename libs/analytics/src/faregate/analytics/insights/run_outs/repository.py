"""Repository of wallets, grants, limits and daily charges."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.insights.run_outs.sql import (
    DAILY_CHARGES,
    OUTLOOK_GRANTS,
    OUTLOOK_LIMITS,
    OUTLOOK_WALLETS,
)
from faregate.analytics.insights.run_outs.values import Allowance, DailyUse, SpendCap, WalletOutlook
from faregate.analytics.question.calendar import periods_of
from faregate.analytics.question.filters import TimeRange
from faregate.core.db.database import Database
from faregate.core.values.time_zones import time_zone
from faregate.credit.ledger.limits import LimitPeriod, period_start, user_scope
from faregate.wire.credits import to_credits

__all__ = ["OutlookRepository"]


class OutlookRepository:
    """Reads in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def daily_use(
        self, session: AsyncSession, span: TimeRange, *, owner_id: str | None, limit: int
    ) -> Mapping[int, DailyUse]:
        """Return what wallets were charged in each day of `span`, by feature; those with the most charges, or one owner's.

        Charges, not balances, show use: a purchase is no negative use.
        """
        days, zone = periods_of(span, "day"), time_zone(span.timezone)
        rows = await self._database.rows(
            session, DAILY_CHARGES, periods=days, start=span.start, end=span.end, owner_id=owner_id, limit=limit
        )
        found: dict[int, dict[date, dict[str, Decimal]]] = {}
        for row in rows:
            day = days[int(row.day) - 1].astimezone(zone).date()
            by_feature = found.setdefault(row.wallet_id, {}).setdefault(day, {})
            by_feature[row.feature_key] = to_credits(int(row.charged))
        return {wallet_id: DailyUse(by_day) for wallet_id, by_day in found.items()}

    async def outlooks(
        self, session: AsyncSession, wallet_ids: Sequence[int], *, now: datetime
    ) -> Sequence[WalletOutlook]:
        """Return the active wallets among `wallet_ids`, with their grants and the limits of their owners."""
        rows = await self._database.rows(session, OUTLOOK_WALLETS, wallet_ids=list(wallet_ids))
        grants = await self._allowances(session, wallet_ids, now)
        caps = await self._caps(session, wallet_ids, now)
        return [
            WalletOutlook(
                subject_id=row.wallet_id,
                plan=row.plan,
                balance=to_credits(row.balance),
                held=to_credits(row.held),
                credit_line=to_credits(row.credit_limit),
                allowances=grants.get(row.wallet_id, []),
                top_up=None
                if row.top_up_below is None
                else (to_credits(row.top_up_below), to_credits(row.top_up_amount or 0)),
                caps=caps.get(row.wallet_id, []),
            )
            for row in rows
        ]

    async def _allowances(
        self, session: AsyncSession, wallet_ids: Sequence[int], now: datetime
    ) -> Mapping[int, list[Allowance]]:
        found: dict[int, list[Allowance]] = {}
        for row in await self._database.rows(session, OUTLOOK_GRANTS, wallet_ids=list(wallet_ids), now=now):
            allowance = Allowance(
                rank=row.rank,
                amount=to_credits(row.amount),
                remaining=to_credits(row.remaining),
                effective_at=row.effective_at,
                expires_at=row.expires_at,
                features=frozenset(row.features) if row.features is not None else None,
                every=row.every,
                next_at=row.next_renewal_at,
                rollover_min=to_credits(row.rollover_min),
                rollover_max=to_credits(row.rollover_max),
                active=row.active,
            )
            found.setdefault(row.wallet_id, []).append(allowance)
        return found

    async def _caps(
        self, session: AsyncSession, wallet_ids: Sequence[int], now: datetime
    ) -> Mapping[int, list[SpendCap]]:
        scopes = [user_scope(number) for number in wallet_ids]
        found: dict[int, list[SpendCap]] = {}
        for row in await self._database.rows(session, OUTLOOK_LIMITS, scopes=scopes):
            running = row.started_at >= period_start(LimitPeriod(row.period), now)
            cap = SpendCap(row.period, to_credits(row.hard), to_credits(row.spent) if running else Decimal(0))
            found.setdefault(row.subject_id, []).append(cap)
        return found
