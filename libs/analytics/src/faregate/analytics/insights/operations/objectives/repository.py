"""Repository of service-level objectives, and the queue of their alerts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.insights.operations.objectives.burn import RULES
from faregate.analytics.insights.operations.objectives.sql import (
    OBJECTIVE_ALERTS,
    OBJECTIVE_CLAIMED,
    OBJECTIVE_END,
    OBJECTIVE_FIRE,
    OBJECTIVE_KEEP,
    OBJECTIVE_LIST,
    OBJECTIVE_OPEN,
    OBJECTIVE_PUT,
    OBJECTIVE_REMOVE,
    OBJECTIVE_RESET,
)
from faregate.analytics.insights.operations.objectives.values import (
    BurnAlert,
    BurnRate,
    Indicator,
    Objective,
    ObjectiveScope,
    ObjectiveSpec,
    ObjectiveStatus,
)
from faregate.analytics.insights.operations.objectives.wording import alert_of
from faregate.analytics.insights.repository import evidence_of_json
from faregate.analytics.insights.values import InsightResult
from faregate.analytics.quotas.alert_queue_repository import AlertQueue, DeliveryTable
from faregate.analytics.quotas.values import Alert
from faregate.core.db.database import Database
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["ObjectiveRepository"]

_DELIVERIES = DeliveryTable("objective_delivery", "alert_id", OBJECTIVE_CLAIMED)
_LEVELS = {rule.name: rule.level for rule in RULES}


class ObjectiveRepository:
    """Reads and writes objectives in the caller's transaction; `queue` has the deliveries of their alerts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.queue = AlertQueue(database, _DELIVERIES, _alert_of)

    async def put(self, session: AsyncSession, spec: ObjectiveSpec, *, now: datetime) -> Objective:
        """Store `spec` under its name; alerts of what it was before end."""
        (row,) = await self._database.rows(
            session,
            OBJECTIVE_PUT,
            name=spec.name,
            scope=spec.scope.value,
            value=spec.value,
            indicator=spec.indicator.value,
            target_percent=spec.target_percent,
            threshold_ms=spec.threshold_ms,
            window_days=spec.window_days,
            active=spec.active,
            now=now,
        )
        await self._database.rows(session, OBJECTIVE_RESET, name=spec.name, now=now)
        return objective_of(row)

    async def statuses(
        self, session: AsyncSession, *, name: str | None = None, active: bool = False, alerts: int = 0
    ) -> Sequence[ObjectiveStatus]:
        """Return objectives by name (all, the active ones, or one) with their last status and their newest `alerts`."""
        rows = await self._database.rows(session, OBJECTIVE_LIST, name=name, active=active)
        found = await self._alerts(session, [row.name for row in rows], alerts)
        return [
            ObjectiveStatus(objective_of(row), row.checked_at, result_of(row.status), found.get(row.name, ()))
            for row in rows
        ]

    async def remove(self, session: AsyncSession, name: str) -> bool:
        """Delete an objective and its alerts; return whether it existed."""
        return bool(await self._database.rows(session, OBJECTIVE_REMOVE, name=name))

    async def keep(self, session: AsyncSession, objective: Objective, result: InsightResult, *, now: datetime) -> bool:
        """Store the status of an objective; return False if it has changed or was deleted since it was read."""
        status = {"enough": result.enough, "evidence": asdict(result.evidence), "answer": result.answer}
        kept = await self._database.rows(
            session,
            OBJECTIVE_KEEP,
            name=objective.spec.name,
            revision=objective.revision,
            status=exact_json.dumps(status).decode(),
            now=now,
        )
        return bool(kept)

    async def open_rules(self, session: AsyncSession, name: str) -> Collection[str]:
        """Return the rules of an objective whose alerts have not ended."""
        return {row.rule for row in await self._database.rows(session, OBJECTIVE_OPEN, name=name)}

    async def fire(self, session: AsyncSession, objective: Objective, burn: BurnRate, *, now: datetime) -> UUID | None:
        """Store the alert of a rule; None if it has fired already and not ended."""
        rows = await self._database.rows(
            session,
            OBJECTIVE_FIRE,
            alert_id=new_uuid7(),
            name=objective.spec.name,
            revision=objective.revision,
            rule=burn.rule.name,
            rate=burn.long,
            threshold=burn.threshold,
            total=burn.counted.total,
            bad=burn.counted.bad,
            now=now,
        )
        return rows[0].alert_id if rows else None

    async def end(self, session: AsyncSession, name: str, rules: Sequence[str], *, now: datetime) -> None:
        """Record that rules no longer hold; they may fire again."""
        await self._database.rows(session, OBJECTIVE_END, name=name, rules=list(rules), now=now)

    async def _alerts(
        self, session: AsyncSession, names: Sequence[str], limit: int
    ) -> Mapping[str, Sequence[BurnAlert]]:
        found: dict[str, dict[UUID, BurnAlert]] = {}
        for row in await self._database.rows(session, OBJECTIVE_ALERTS, names=list(names), limit=limit):
            known = found.setdefault(row.name, {})
            before = known[row.alert_id].deliveries if row.alert_id in known else ()
            more = ((row.channel, row.status),) if row.channel is not None else ()
            known[row.alert_id] = BurnAlert(row.rule, _LEVELS[row.rule], row.fired_at, row.ended_at, (*before, *more))
        return {name: list(alerts.values()) for name, alerts in found.items()}


def _alert_of(row: Any) -> Alert:
    return alert_of(objective_of(row).spec, row)


def objective_of(row: Any) -> Objective:
    """Return the objective of a row."""
    spec = ObjectiveSpec(
        name=row.name,
        indicator=Indicator(row.indicator),
        target_percent=row.target_percent,
        scope=ObjectiveScope(row.scope),
        value=row.value,
        threshold_ms=row.threshold_ms,
        window_days=row.window_days,
        active=row.active,
    )
    return Objective(spec, row.revision, row.updated_at)


def result_of(text: str | None) -> InsightResult | None:
    """Return the kept status of a row."""
    if text is None:
        return None
    given = exact_json.loads(text)
    return InsightResult(given["enough"], evidence_of_json(given["evidence"]), given["answer"])
