"""Repository of report subscriptions, recipients and deliveries."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.question.filters import Filters, TimeRange
from faregate.analytics.reports.sql import (
    DELIVERIES,
    DELIVERY_ADD,
    DELIVERY_BOUNCED,
    DELIVERY_CLAIM,
    DELIVERY_FORGET,
    DELIVERY_GET,
    DELIVERY_QUEUE,
    DELIVERY_RETRY,
    DELIVERY_SENT,
    RECIPIENT_BOUNCED,
    RECIPIENT_GET,
    RECIPIENT_STATE,
    RECIPIENTS,
    RECIPIENTS_PUT,
    RECIPIENTS_RESUME,
    REPORT_ADVANCE,
    REPORT_DUE,
    REPORT_LIST,
    REPORT_PUT,
    REPORT_REMOVE,
)
from faregate.analytics.reports.values import (
    Recipient,
    RecipientState,
    ReportDelivery,
    ReportFile,
    ReportKind,
    ReportScope,
    ReportSpec,
    ReportStatus,
    ReportSubscription,
)
from faregate.core.db.database import Database
from faregate.wire import exact_json
from faregate.wire.ids import ORGANIZATION_PREFIX, new_uuid7

__all__ = ["ReportRepository", "delivery_id_of", "message_id_of"]

_MESSAGE = "report-"


class ReportRepository:
    """Reads and writes reports in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self,
        session: AsyncSession,
        spec: ReportSpec,
        *,
        subject_id: int | None,
        next_at: datetime | None,
        now: datetime,
    ) -> None:
        """Store `spec` under its name, with its recipients; those who unsubscribed stay so."""
        await self._database.rows(
            session,
            REPORT_PUT,
            name=spec.name,
            kind=spec.kind.value,
            scope=spec.scope.value,
            subject_id=subject_id,
            filters=exact_json.dumps(spec.filters.given).decode(),
            timezone=spec.timezone,
            hour=spec.hour,
            weekday=spec.weekday,
            month_day=spec.month_day,
            files=[file.value for file in spec.files],
            active=spec.active,
            next_at=next_at,
            now=now,
        )
        tokens = [uuid4() for _ in spec.recipients]
        await self._database.rows(
            session, RECIPIENTS_PUT, name=spec.name, addresses=list(spec.recipients), tokens=tokens, now=now
        )

    async def subscriptions(
        self, session: AsyncSession, *, name: str | None = None, after: str | None = None, limit: int = 1
    ) -> Sequence[ReportSubscription]:
        """Return subscriptions by name: one, or those after a name."""
        rows = await self._database.rows(session, REPORT_LIST, name=name, after=after, limit=limit)
        known = await self._recipients(session, [row.name for row in rows])
        return [_subscription(row, known.get(row.name, [])) for row in rows]

    async def remove(self, session: AsyncSession, name: str) -> bool:
        """Delete a subscription with its recipients and deliveries; return whether it existed."""
        return bool(await self._database.rows(session, REPORT_REMOVE, name=name))

    async def resume(self, session: AsyncSession, name: str, address: str | None, *, now: datetime) -> int:
        """Send to suspended recipients again, all or one; return how many there were."""
        rows = await self._database.rows(session, RECIPIENTS_RESUME, name=name, address=address, now=now)
        return len(rows)

    async def set_state(
        self, session: AsyncSession, token: UUID, state: RecipientState, *, now: datetime
    ) -> tuple[str, Recipient] | None:
        """Unsubscribe the recipient of `token`, or subscribe it again after that; return its report and the recipient."""
        rows = await self._database.rows(session, RECIPIENT_STATE, token=token, state=state.value, now=now)
        return (rows[0].name, _recipient(rows[0])) if rows else None

    async def recipient(self, session: AsyncSession, token: UUID) -> tuple[str, Recipient] | None:
        """Return the report and the recipient of `token`."""
        rows = await self._database.rows(session, RECIPIENT_GET, token=token)
        return (rows[0].name, _recipient(rows[0])) if rows else None

    async def due(self, session: AsyncSession, *, now: datetime, limit: int) -> Sequence[ReportSpec]:
        """Lock and return subscriptions that are due, without their recipients; those that another process has are left out."""
        rows = await self._database.rows(session, REPORT_DUE, now=now, limit=limit)
        return [_spec(row, ()) for row in rows]

    async def queue(
        self,
        session: AsyncSession,
        due: Sequence[tuple[str, TimeRange, datetime, datetime]],
        *,
        now: datetime,
    ) -> int:
        """Queue a delivery for each recipient of each (name, period, due time, next due time); return how many are new."""
        names = [name for name, _, _, _ in due]
        rows = await self._database.rows(
            session,
            DELIVERY_QUEUE,
            names=names,
            starts=[period.start for _, period, _, _ in due],
            ends=[period.end for _, period, _, _ in due],
            dues=[at for _, _, at, _ in due],
            now=now,
        )
        await self._database.rows(session, REPORT_ADVANCE, names=names, nexts=[again for _, _, _, again in due])
        return len(rows)

    async def add_test(
        self, session: AsyncSession, name: str, address: str, period: TimeRange, *, now: datetime
    ) -> ReportDelivery:
        """Queue a test mail of a report."""
        rows = await self._database.rows(
            session,
            DELIVERY_ADD,
            delivery_id=new_uuid7(),
            name=name,
            address=address,
            starts=period.start,
            ends=period.end,
            now=now,
        )
        return _delivery(rows[0])

    async def claim(
        self, session: AsyncSession, *, now: datetime, lease: timedelta, limit: int, only: UUID | None = None
    ) -> Sequence[tuple[ReportDelivery, ReportSpec]]:
        """Claim due deliveries, all or one, for the time `lease`."""
        rows = await self._database.rows(session, DELIVERY_CLAIM, now=now, lease=lease, limit=limit, delivery_id=only)
        return [(_delivery(row), _spec(row, (row.address,))) for row in rows]

    async def sent(self, session: AsyncSession, delivery_id: UUID, *, now: datetime) -> None:
        """Record that the mail server accepted the mail."""
        await self._database.rows(session, DELIVERY_SENT, delivery_id=delivery_id, now=now)

    async def retry(
        self, session: AsyncSession, delivery_id: UUID, *, error: str, again_at: datetime | None, now: datetime
    ) -> None:
        """Record that the mail was not sent; without `again_at` the delivery has failed."""
        status = ReportStatus.FAILED if again_at is None else ReportStatus.PENDING
        await self._database.rows(
            session,
            DELIVERY_RETRY,
            delivery_id=delivery_id,
            status=status.value,
            next_at=again_at or now,
            error=error,
            now=now,
        )

    async def bounced(
        self, session: AsyncSession, delivery_id: UUID, *, error: str, patience: int, now: datetime
    ) -> ReportDelivery | None:
        """Record a bounce; suspend the recipient when the last `patience` mails bounced. None if there is no such delivery."""
        rows = await self._database.rows(session, DELIVERY_BOUNCED, delivery_id=delivery_id, error=error, now=now)
        if not rows:
            rows = await self._database.rows(session, DELIVERY_GET, delivery_id=delivery_id)
            return _delivery(rows[0]) if rows else None
        found = _delivery(rows[0])
        if not found.test:
            await self._database.rows(
                session,
                RECIPIENT_BOUNCED,
                name=found.name,
                address=found.address,
                error=error,
                patience=patience,
                now=now,
            )
        return found

    async def deliveries(
        self, session: AsyncSession, name: str, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[ReportDelivery]:
        """Return the deliveries of a subscription, the latest first."""
        at, number = before or (None, None)
        rows = await self._database.rows(session, DELIVERIES, name=name, before_at=at, before_id=number, limit=limit)
        return [_delivery(row) for row in rows]

    async def forget(self, session: AsyncSession, *, now: datetime, keep: timedelta) -> None:
        """Delete finished deliveries older than `keep`."""
        await self._database.rows(session, DELIVERY_FORGET, now=now, keep=keep)

    async def _recipients(self, session: AsyncSession, names: Sequence[str]) -> Mapping[str, list[Recipient]]:
        found: dict[str, list[Recipient]] = {}
        for row in await self._database.rows(session, RECIPIENTS, names=list(names)) if names else ():
            found.setdefault(row.name, []).append(_recipient(row))
        return found


def message_id_of(delivery_id: UUID, domain: str) -> str:
    """Return the `Message-ID` of a delivery, without its angle brackets: the same for each attempt."""
    return f"{_MESSAGE}{delivery_id}@{domain}"


def delivery_id_of(message_id: str) -> UUID | None:
    """Return the delivery of a `Message-ID`; None if it is none of a report."""
    local = message_id.strip().strip("<>").partition("@")[0]
    try:
        return UUID(local.removeprefix(_MESSAGE)) if local.startswith(_MESSAGE) else None
    except ValueError:
        return None


def _spec(row: Any, recipients: Sequence[str]) -> ReportSpec:
    return ReportSpec(
        name=row.name,
        kind=ReportKind(row.kind),
        recipients=tuple(recipients),
        scope=ReportScope(row.scope),
        owner=row.owner.removeprefix(ORGANIZATION_PREFIX) if row.owner is not None else None,
        filters=Filters(**exact_json.loads(row.filters)),
        timezone=row.timezone,
        hour=row.hour,
        weekday=row.weekday,
        month_day=row.month_day,
        files=tuple(ReportFile(name) for name in row.files),
        active=row.active,
    )


def _subscription(row: Any, recipients: Sequence[Recipient]) -> ReportSubscription:
    spec = _spec(row, [recipient.address for recipient in recipients])
    return ReportSubscription(spec, recipients, row.next_at, row.updated_at)


def _recipient(row: Any) -> Recipient:
    return Recipient(row.address, RecipientState(row.state), row.token, row.changed_at, row.last_error)


def _delivery(row: Any) -> ReportDelivery:
    return ReportDelivery(
        id=row.delivery_id,
        name=row.name,
        address=row.address,
        period_start=row.period_start,
        period_end=row.period_end,
        status=ReportStatus(row.status),
        test=row.test,
        attempts=row.attempts,
        due_at=row.due_at,
        next_at=row.next_at,
        finished_at=row.finished_at,
        last_error=row.last_error,
        token=row.token,
    )
