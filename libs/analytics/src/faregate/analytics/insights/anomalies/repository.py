"""Repository of anomalies, and the queue of their alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.insights.anomalies.sql import (
    ANOMALY_ADD,
    ANOMALY_BY_ID,
    ANOMALY_CLAIMED,
    ANOMALY_DELIVERIES,
    ANOMALY_JUDGE,
    ANOMALY_LIST,
    ANOMALY_SILENT,
    WATCHED_USERS,
)
from faregate.analytics.insights.anomalies.values import (
    Anomaly,
    AnomalyMeasure,
    AnomalyScope,
    Suspect,
    Verdict,
    Watched,
)
from faregate.analytics.quotas.alert_queue_repository import AlertQueue, DeliveryTable
from faregate.analytics.quotas.levels import Level
from faregate.analytics.quotas.periods import QuotaPeriod
from faregate.analytics.quotas.values import EVERYBODY, Alert
from faregate.core.db.database import Database
from faregate.wire import exact_json
from faregate.wire.ids import new_uuid7

__all__ = ["AnomalyFilter", "AnomalyRepository", "Silence"]

_DELIVERIES = DeliveryTable("anomaly_delivery", "anomaly_id", ANOMALY_CLAIMED)


@dataclass(frozen=True, slots=True)
class AnomalyFilter:
    """Filters of anomalies; None means any value."""

    scope: AnomalyScope | None = None
    measure: AnomalyMeasure | None = None
    user_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    unjudged: bool = False
    limit: int = 100
    before: UUID | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """What keeps a series from being reported.

    Attributes:
        last_at: its last anomaly.
        usual_up, usual_down: the greatest distances from the expected that people said are none.
    """

    last_at: datetime | None
    usual_up: Decimal | None
    usual_down: Decimal | None


class AnomalyRepository:
    """Reads and writes anomalies in the caller's transaction; `queue` has the deliveries of their alerts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.queue = AlertQueue(database, _DELIVERIES, _alert_of_row)

    async def watched_users(self, session: AsyncSession, *, since: datetime, limit: int) -> Sequence[tuple[int, str]]:
        """Return the numbers and ids of the users with the most credits since a moment."""
        rows = await self._database.rows(session, WATCHED_USERS, since=since.date(), limit=limit)
        return [(row.subject_id, row.user_id) for row in rows]

    async def silences(
        self, session: AsyncSession, *, since: datetime
    ) -> Mapping[tuple[Watched, AnomalyMeasure], Silence]:
        """Return what is known of each series that had an anomaly since a moment, or a verdict."""
        rows = await self._database.rows(session, ANOMALY_SILENT, since=since)
        return {
            (Watched(AnomalyScope(row.scope), row.value, row.subject_id), AnomalyMeasure(row.measure)): Silence(
                row.last_at, row.usual_up, row.usual_down
            )
            for row in rows
        }

    async def add(
        self,
        session: AsyncSession,
        suspect: Suspect,
        reason: Mapping[str, Any],
        *,
        now: datetime,
        channels: Sequence[str],
        deliver_at: datetime,
    ) -> UUID | None:
        """Store an anomaly and queue its alerts; None if it is stored already."""
        watched = suspect.watched
        rows = await self._database.rows(
            session,
            ANOMALY_ADD,
            anomaly_id=new_uuid7(),
            scope=watched.scope.value,
            value=watched.value,
            subject_id=watched.subject_id,
            measure=suspect.measure.value,
            start=suspect.start,
            end=suspect.end,
            actual=suspect.actual,
            expected=suspect.expected,
            allowed=suspect.allowed,
            reason=exact_json.dumps(reason).decode(),
            now=now,
        )
        if not rows:
            return None
        anomaly_id: UUID = rows[0].anomaly_id
        await self.queue.enqueue(session, [anomaly_id], channels, deliver_at=deliver_at)
        return anomaly_id

    async def find(self, session: AsyncSession, anomaly_id: UUID) -> Anomaly | None:
        """Return one anomaly with its deliveries."""
        rows = await self._database.rows(session, ANOMALY_BY_ID, anomaly_id=anomaly_id)
        return (await self._with_deliveries(session, rows))[0] if rows else None

    async def matching(self, session: AsyncSession, wanted: AnomalyFilter) -> Sequence[Anomaly]:
        """Return anomalies with their deliveries, the latest first."""
        rows = await self._database.rows(
            session,
            ANOMALY_LIST,
            scope=wanted.scope.value if wanted.scope else None,
            measure=wanted.measure.value if wanted.measure else None,
            user_id=wanted.user_id,
            since=wanted.since,
            until=wanted.until,
            open=wanted.unjudged,
            before=wanted.before,
            limit=wanted.limit,
        )
        return await self._with_deliveries(session, rows)

    async def judge(
        self, session: AsyncSession, anomaly_id: UUID, verdict: Verdict, *, actor: str, now: datetime
    ) -> bool:
        """Store a verdict; return whether the anomaly exists."""
        return bool(
            await self._database.rows(
                session, ANOMALY_JUDGE, anomaly_id=anomaly_id, verdict=verdict.value, actor=actor, now=now
            )
        )

    async def _with_deliveries(self, session: AsyncSession, rows: Sequence[Any]) -> Sequence[Anomaly]:
        sent: dict[UUID, list[tuple[str, str]]] = {}
        ids = [row.anomaly_id for row in rows]
        for row in await self._database.rows(session, ANOMALY_DELIVERIES, anomaly_ids=ids):
            sent.setdefault(row.anomaly_id, []).append((row.channel, row.status))
        return [replace(anomaly_of(row), deliveries=tuple(sent.get(row.anomaly_id, ()))) for row in rows]


def anomaly_of(row: Any) -> Anomaly:
    """Return the anomaly of a row."""
    suspect = Suspect(
        Watched(AnomalyScope(row.scope), row.value, row.subject_id),
        AnomalyMeasure(row.measure),
        row.period_start,
        row.period_end,
        row.actual,
        row.expected,
        row.allowed,
    )
    verdict = Verdict(row.verdict) if row.verdict is not None else None
    reason = exact_json.loads(row.reason)
    return Anomaly(row.anomaly_id, suspect, reason, row.user_id, verdict, row.verdict_at, row.found_at)


def _alert_of_row(row: Any) -> Alert:
    return alert_of(anomaly_of(row))


def alert_of(anomaly: Anomaly) -> Alert:
    """Return the alert that reports an anomaly by the channels of quota alerts."""
    suspect = anomaly.suspect
    about = f" (user {anomaly.user_id})" if anomaly.user_id is not None else ""
    return Alert(
        id=anomaly.id,
        quota_id=anomaly.id,
        owner_id=anomaly.user_id or EVERYBODY,
        meter=suspect.measure.value,
        period=QuotaPeriod.HOUR,
        period_start=suspect.start,
        period_end=suspect.end,
        level=Level.WARNING,
        percent=None,
        used=suspect.actual,
        limit=suspect.expected,
        hard=False,
        superseded=False,
        runs_out_at=None,
        emails=(),
        fired_at=anomaly.found_at,
        notice=anomaly.reason["sentence"] + about,
        about="anomaly",
    )
