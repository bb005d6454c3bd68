"""Report subscriptions: settings, previews, tests, unsubscribing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.question.filters import TimeRange
from faregate.analytics.reports.checking import check_address, check_report
from faregate.analytics.reports.content.composer import ReportComposer
from faregate.analytics.reports.errors import UnknownReportDeliveryError, UnknownReportError
from faregate.analytics.reports.repository import ReportRepository, delivery_id_of
from faregate.analytics.reports.schedule import last_due, next_due, period_before, period_of_day
from faregate.analytics.reports.values import (
    ComposedReport,
    Recipient,
    RecipientState,
    ReportAttachment,
    ReportDelivery,
    ReportFile,
    ReportScope,
    ReportSpec,
    ReportSubscription,
)
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.db.subjects import Subjects
from faregate.core.errors import InvalidError
from faregate.wire.ids import organization_owner_id

__all__ = ["BOUNCES_SUFFERED", "ReportService"]

BOUNCES_SUFFERED = 3
"""After so many bounces in a row a recipient is suspended."""

_QUEUED_AT_ONCE = 200
_KEPT = timedelta(days=400)


class ReportService:
    """The use cases of reports; each opens its own transactions."""

    def __init__(
        self,
        database: Database,
        subjects: Subjects,
        repository: ReportRepository,
        composer: ReportComposer,
        clock: IClock,
    ) -> None:
        self._database = database
        self._subjects = subjects
        self._repository = repository
        self._composer = composer
        self._clock = clock

    async def put(self, spec: ReportSpec) -> ReportSubscription:
        """Subscribe the recipients to a report, or change the subscription of this name. The same again changes nothing.

        The first report is sent when it is next due. Who has unsubscribed stays so, even if the address is named again.

        Raises:
            InvalidError: a field is invalid; `param` names it.
        """
        check_report(spec)
        now = self._clock.now()

        async def work(session: AsyncSession) -> ReportSubscription:
            subject_id = None
            if spec.owner is not None:
                owner = organization_owner_id(spec.owner) if spec.scope is ReportScope.ORGANIZATION else spec.owner
                subject_id = (await self._subjects.ensure(session, [owner]))[owner].subject_id
            next_at = next_due(spec, now) if spec.active else None
            await self._repository.put(session, spec, subject_id=subject_id, next_at=next_at, now=now)
            return (await self._repository.subscriptions(session, name=spec.name))[0]

        return await self._database.run(work)

    async def get(self, name: str) -> ReportSubscription:
        """Return one subscription, or raise `UnknownReportError`."""
        async with self._database.transaction() as session:
            return await self._get(session, name)

    async def list(self, *, after: str | None = None, limit: int = 100) -> Sequence[ReportSubscription]:
        """Return subscriptions by name, those after a name."""
        async with self._database.transaction() as session:
            return await self._repository.subscriptions(session, after=after, limit=limit)

    async def remove(self, name: str) -> None:
        """Delete a subscription with its recipients and its deliveries, or raise `UnknownReportError`."""
        async with self._database.transaction() as session:
            if not await self._repository.remove(session, name):
                raise UnknownReportError(name)

    async def resume(self, name: str, address: str | None = None) -> ReportSubscription:
        """Send to suspended recipients again, all or one; those who unsubscribed are left alone.

        Raises:
            UnknownReportError.
        """
        async with self._database.transaction() as session:
            await self._get(session, name)
            await self._repository.resume(session, name, address, now=self._clock.now())
            return await self._get(session, name)

    async def preview(self, name: str, *, day: date | None = None) -> tuple[TimeRange, ComposedReport]:
        """Return the latest report of a subscription, or that of the period which contains `day`; nothing is sent.

        Raises:
            UnknownReportError.
            MissingExtraError: the extra `reports` is not installed, or `pdf` for a statement.
        """
        spec = (await self.get(name)).spec
        period = period_of_day(spec, day) if day is not None else self.latest(spec)
        return period, await self._composer.compose(spec, period)

    async def file(self, name: str, kind: ReportFile, *, day: date | None = None) -> ReportAttachment:
        """Return one file of a report, whether it is attached to the mails or not.

        Raises:
            UnknownReportError.
            InvalidError: a statement is asked for, and the owner has no wallet.
            MissingExtraError: the extra `pdf` is not installed.
        """
        spec = replace((await self.get(name)).spec, files=(kind,))
        period = period_of_day(spec, day) if day is not None else self.latest(spec)
        found = await self._composer.files(spec, period)
        if not found:
            raise InvalidError("there is no statement: the owner has no wallet; choose xlsx or csv", param="format")
        return found[0]

    def latest(self, spec: ReportSpec) -> TimeRange:
        """Return the period of the report that was last due."""
        return period_before(spec, last_due(spec, self._clock.now()))

    async def request_test(self, name: str, address: str) -> ReportDelivery:
        """Queue the latest report for one address, marked as a test; the worker sends it. Each call sends again.

        Raises:
            UnknownReportError.
            InvalidError: the address is not valid.
        """
        check_address(address, param="address")

        async def work(session: AsyncSession) -> ReportDelivery:
            spec = (await self._get(session, name)).spec
            return await self._repository.add_test(session, name, address, self.latest(spec), now=self._clock.now())

        return await self._database.run(work)

    async def deliveries(
        self, name: str, *, before: tuple[datetime, UUID] | None = None, limit: int = 100
    ) -> Sequence[ReportDelivery]:
        """Return the mails of a subscription, the latest first, or raise `UnknownReportError`."""
        async with self._database.transaction() as session:
            await self._get(session, name)
            return await self._repository.deliveries(session, name, before=before, limit=limit)

    async def queue_due(self) -> int:
        """Queue the reports that are due, one mail for each active recipient; return how many.

        Several processes may do so concurrently: a report of a period is queued once for each recipient. Of reports that became
        due while no worker ran, only the latest is queued.
        """
        queued = 0
        while (batch := await self._queue_batch()) is not None:
            queued += batch
        return queued

    async def note_bounce(self, message_id: str, reason: str) -> ReportDelivery:
        """Record that a mail came back; after three in a row the recipient is suspended. The same again changes nothing.

        Raises:
            UnknownReportDeliveryError: no report was mailed under this `Message-ID`.
        """
        number = delivery_id_of(message_id)

        async def work(session: AsyncSession) -> ReportDelivery | None:
            if number is None:
                return None
            return await self._repository.bounced(
                session, number, error=reason, patience=BOUNCES_SUFFERED, now=self._clock.now()
            )

        found = await self._database.run(work)
        if found is None:
            raise UnknownReportDeliveryError(message_id)
        return found

    async def recipient(self, token: UUID) -> tuple[str, Recipient] | None:
        """Return the report and the recipient of a link to unsubscribe; None if there is none."""
        async with self._database.transaction() as session:
            return await self._repository.recipient(session, token)

    async def set_subscribed(self, token: UUID, *, subscribed: bool) -> tuple[str, Recipient] | None:
        """Unsubscribe the recipient of a link, or subscribe them again; None if there is none. The same again changes nothing."""
        state = RecipientState.ACTIVE if subscribed else RecipientState.UNSUBSCRIBED

        async def work(session: AsyncSession) -> tuple[str, Recipient] | None:
            return await self._repository.set_state(session, token, state, now=self._clock.now())

        return await self._database.run(work)

    async def forget(self) -> None:
        """Delete finished deliveries older than 400 days."""
        async with self._database.transaction() as session:
            await self._repository.forget(session, now=self._clock.now(), keep=_KEPT)

    async def _queue_batch(self) -> int | None:
        now = self._clock.now()

        async def work(session: AsyncSession) -> int | None:
            found = await self._repository.due(session, now=now, limit=_QUEUED_AT_ONCE)
            if not found:
                return None
            dues = [(spec, last_due(spec, now)) for spec in found]
            return await self._repository.queue(
                session, [(s.name, period_before(s, due), due, next_due(s, now)) for s, due in dues], now=now
            )

        return await self._database.run(work)

    async def _get(self, session: AsyncSession, name: str) -> ReportSubscription:
        found = await self._repository.subscriptions(session, name=name)
        if not found:
            raise UnknownReportError(name)
        return found[0]
