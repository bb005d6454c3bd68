"""Repository of budgets and their alerts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.insights.budgets.sql import (
    BUDGET_ALERTS,
    BUDGET_CLAIMED,
    BUDGET_FIRE,
    BUDGET_LIST,
    BUDGET_PUT,
    BUDGET_REMOVE,
)
from faregate.analytics.insights.budgets.values import Budget, BudgetAlert, BudgetScope, BudgetSpec, BudgetStatus
from faregate.analytics.quotas.alert_queue_repository import AlertQueue, DeliveryTable
from faregate.analytics.quotas.levels import Level, Thresholds, percent_used
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.values import Alert
from faregate.analytics.quotas.wording import plain
from faregate.core.db.database import Database
from faregate.wire.ids import ORGANIZATION_PREFIX, new_uuid7

__all__ = ["BudgetRepository"]

_DELIVERIES = DeliveryTable("budget_delivery", "alert_id", BUDGET_CLAIMED)
_UNITS = {"credits": "credits", "cost_usd": "USD"}


class BudgetRepository:
    """Reads and writes budgets in the caller's transaction; `queue` has the deliveries of their alerts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.queue = AlertQueue(database, _DELIVERIES, alert_of)

    async def put(self, session: AsyncSession, spec: BudgetSpec, *, subject_id: int | None, now: datetime) -> None:
        """Store `spec` under its name."""
        await self._database.rows(
            session,
            BUDGET_PUT,
            name=spec.name,
            scope=spec.scope.value,
            value=None if subject_id is not None else spec.value,
            subject_id=subject_id,
            unit=spec.unit,
            amount=spec.amount,
            period=spec.period.value,
            timezone=spec.timezone,
            thresholds=[percent for _, percent in spec.thresholds.items()] if spec.thresholds else None,
            emails=list(spec.emails),
            active=spec.active,
            now=now,
        )

    async def budgets(
        self, session: AsyncSession, *, name: str | None = None, active: bool = False
    ) -> Sequence[Budget]:
        """Return the budgets by name: all, the active ones, or one."""
        return [budget_of(row) for row in await self._database.rows(session, BUDGET_LIST, name=name, active=active)]

    async def remove(self, session: AsyncSession, name: str) -> bool:
        """Delete a budget and its alerts; return whether it existed."""
        return bool(await self._database.rows(session, BUDGET_REMOVE, name=name))

    async def fire(
        self,
        session: AsyncSession,
        reached: Sequence[tuple[BudgetStatus, Level]],
        *,
        now: datetime,
        channels: Sequence[str],
    ) -> int:
        """Store the alerts of `reached` that are new in their period, and queue the most urgent new one of each budget.

        Returns:
            How many are to be delivered. Of several concurrent callers, only one fires each alert.
        """
        names = [status.budget.spec.name for status, _ in reached]
        top = {name: max(level.rank for s, level in reached if s.budget.spec.name == name) for name in names}
        rows = await self._database.rows(
            session,
            BUDGET_FIRE,
            alert_ids=[new_uuid7() for _ in reached],
            names=names,
            revisions=[status.budget.revision for status, _ in reached],
            starts=[status.window.start for status, _ in reached],
            ends=[status.window.end for status, _ in reached],
            levels=[level.value for _, level in reached],
            used=[status.used for status, _ in reached],
            amounts=[status.budget.spec.amount for status, _ in reached],
            expected=[status.outlook.expected if status.outlook else None for status, _ in reached],
            superseded=[level.rank < top[name] for name, (_, level) in zip(names, reached, strict=True)],
            now=now,
        )
        new = [row.alert_id for row in rows if not row.superseded]
        await self.queue.enqueue(session, new, channels, deliver_at=now)
        return len(new)

    async def alerts(
        self, session: AsyncSession, names: Sequence[str], *, now: datetime
    ) -> Mapping[str, Sequence[BudgetAlert]]:
        """Return the alerts of the running period of each budget, the oldest first."""
        found: dict[str, dict[Level, BudgetAlert]] = {}
        for row in await self._database.rows(session, BUDGET_ALERTS, names=list(names), now=now):
            known = found.setdefault(row.name, {})
            before = known.get(Level(row.level))
            sent = before.deliveries if before is not None else ()
            more = ((row.channel, row.status),) if row.channel is not None else ()
            known[Level(row.level)] = BudgetAlert(Level(row.level), row.fired_at, (*sent, *more))
        return {
            name: sorted(alerts.values(), key=lambda alert: (alert.fired_at, alert.level.rank))
            for name, alerts in found.items()
        }


def budget_of(row: Any) -> Budget:
    """Return the budget of a row."""
    scope = BudgetScope(row.scope)
    value = row.value
    if scope is BudgetScope.ORGANIZATION:
        value = value.removeprefix(ORGANIZATION_PREFIX)
    spec = BudgetSpec(
        name=row.name,
        scope=scope,
        value=value,
        unit=row.unit,
        amount=row.amount,
        period=QuotaPeriod(row.period),
        timezone=row.timezone,
        thresholds=Thresholds(*row.thresholds) if row.thresholds else None,
        emails=tuple(row.emails),
        active=row.active,
    )
    return Budget(spec, row.revision, row.updated_at)


def alert_of(row: Any) -> Alert:
    """Return the alert of a row, as the channels of quota alerts deliver it."""
    level, percent = Level(row.level), percent_used(row.used, row.amount)
    unit, share = _UNITS[row.unit], f" ({plain(percent)} %)" if percent is not None else ""
    said = f"budget {row.name} has used {plain(row.used)} of {plain(row.amount)} {unit} this {row.period}{share}"
    if level is Level.PREDICTED:
        said += f"; {plain(row.expected)} {unit} are expected by its end"
    return Alert(
        id=row.alert_id,
        quota_id=row.alert_id,
        owner_id=row.name,
        meter=row.unit,
        period=QuotaPeriod(row.period),
        period_start=row.period_start,
        period_end=row.period_end,
        level=level,
        percent=percent,
        used=row.used,
        limit=row.amount,
        hard=False,
        superseded=row.superseded,
        runs_out_at=None,
        emails=tuple(row.emails),
        fired_at=row.fired_at,
        notice=said,
        about="budget",
    )
