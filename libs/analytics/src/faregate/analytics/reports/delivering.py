"""Delivery of reports by mail: claimed, sent, recorded, retried."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import format_datetime, parseaddr
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from faregate.analytics.question.filters import TimeRange
from faregate.analytics.reports.content.composer import ReportComposer
from faregate.analytics.reports.errors import MailRefusedError
from faregate.analytics.reports.interfaces import IReportMailer, ReportMail
from faregate.analytics.reports.repository import ReportRepository, message_id_of
from faregate.analytics.reports.service import BOUNCES_SUFFERED
from faregate.analytics.reports.values import UNSUBSCRIBE_MARK, ComposedReport, ReportDelivery, ReportSpec
from faregate.core.clock import IClock
from faregate.core.db.database import Database
from faregate.core.errors import FaregateError
from faregate.core.logging import get_logger

__all__ = ["DELAYS", "UNSUBSCRIBE_PATH", "ReportDeliverer"]

log = get_logger(__name__)

UNSUBSCRIBE_PATH = "/reports/unsubscribe"

DELAYS = tuple(timedelta(seconds=seconds) for seconds in (60, 300, 1800, 7200, 21_600))
"""The pause after each failed attempt; when the attempt after the last pause fails, the delivery has failed."""

_LEASE = timedelta(minutes=5)
_AT_ONCE = 16
_MOST_ATTEMPTS = len(DELAYS) + 1
_UNFINISHED = "the worker ended during each attempt"


class ReportDeliverer:
    """Claims due mails and sends them, outside any transaction. Several processes share the work.

    A mail is recorded as sent after the server has accepted it. If a process dies between the two, the mail is sent again, with the
    same `Message-ID`, by which mail systems recognise a copy.
    """

    def __init__(
        self,
        database: Database,
        repository: ReportRepository,
        composer: ReportComposer,
        mailer: IReportMailer,
        clock: IClock,
        *,
        public_url: str | None,
    ) -> None:
        self._database = database
        self._repository = repository
        self._composer = composer
        self._mailer = mailer
        self._clock = clock
        self._public_url = public_url

    async def send_due(self, *, stop: asyncio.Event | None = None) -> int:
        """Try every due mail once, until `stop` is set; return the number of sent ones."""
        sent = 0
        while not (stop is not None and stop.is_set()) and (batch := await self._claim(None)):
            sent += await self._send_all(batch)
        return sent

    async def send_one(self, delivery_id: UUID) -> bool:
        """Try one queued mail now; return whether it was sent."""
        return bool(await self._send_all(await self._claim(delivery_id)))

    async def _claim(self, only: UUID | None) -> Sequence[tuple[ReportDelivery, ReportSpec]]:
        async def work(session: AsyncSession) -> Sequence[tuple[ReportDelivery, ReportSpec]]:
            return await self._repository.claim(session, now=self._clock.now(), lease=_LEASE, limit=_AT_ONCE, only=only)

        return await self._database.run(work)

    async def _send_all(self, batch: Sequence[tuple[ReportDelivery, ReportSpec]]) -> int:
        """Compose each report of the batch once, and send it to its recipients."""
        reports: OrderedDict[tuple[str, datetime], list[tuple[ReportDelivery, ReportSpec]]] = OrderedDict()
        for delivery, spec in batch:
            reports.setdefault((delivery.name, delivery.period_start), []).append((delivery, spec))
        return sum(await asyncio.gather(*(self._send_report(found) for found in reports.values())))

    async def _send_report(self, mails: Sequence[tuple[ReportDelivery, ReportSpec]]) -> int:
        first, spec = mails[0]
        if first.attempts > _MOST_ATTEMPTS:
            for delivery, _ in mails:
                await self._missed(delivery, RuntimeError(_UNFINISHED))
            return 0
        try:
            report = await self._composer.compose(spec, TimeRange(first.period_start, first.period_end, spec.timezone))
        except Exception as error:  # noqa: BLE001  any failure of one report is recorded, and stops no other
            for delivery, _ in mails:
                await self._missed(delivery, error)
            return 0
        return sum(await asyncio.gather(*(self._send(delivery, report) for delivery, _ in mails)))

    async def _send(self, delivery: ReportDelivery, report: ComposedReport) -> bool:
        try:
            await self._mailer.mail(self._mail(delivery, report))
        except MailRefusedError as refusal:
            await self._bounced(delivery, refusal)
            return False
        except Exception as error:  # noqa: BLE001  any failure of the mail server is recorded
            await self._missed(delivery, error)
            return False
        async with self._database.transaction() as session:
            await self._repository.sent(session, delivery.id, now=self._clock.now())
        return True

    def _mail(self, delivery: ReportDelivery, report: ComposedReport) -> ReportMail:
        link = self._link(delivery)
        mark = link or (self._public_url or "")
        return ReportMail(
            to=delivery.address,
            subject=f"Test: {report.subject}" if delivery.test else report.subject,
            text=report.text.replace(UNSUBSCRIBE_MARK, mark),
            html=report.html.replace(UNSUBSCRIBE_MARK, mark),
            message_id=message_id_of(delivery.id, self._domain),
            images=report.images,
            files=report.files,
            headers=self._headers(link),
        )

    @property
    def _domain(self) -> str:
        return parseaddr(self._mailer.sender)[1].rpartition("@")[2] or "faregate"

    def _link(self, delivery: ReportDelivery) -> str | None:
        if self._public_url is None or delivery.token is None:
            return None
        return f"{self._public_url}{UNSUBSCRIBE_PATH}/{delivery.token}"

    def _headers(self, link: str | None) -> Mapping[str, str]:
        """Return the headers by which mail programs offer to unsubscribe (RFC 2369, RFC 8058)."""
        common = {
            "Date": format_datetime(self._clock.now()),
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        }
        if link is None:
            address = parseaddr(self._mailer.sender)[1]
            return {**common, "List-Unsubscribe": f"<mailto:{address}?subject=unsubscribe>"}
        return {
            **common,
            "List-Unsubscribe": f"<{link}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }

    async def _bounced(self, delivery: ReportDelivery, refusal: MailRefusedError) -> None:
        log.warning("report_bounced", report=delivery.name, delivery=str(delivery.id), reason=refusal.detail)

        async def work(session: AsyncSession) -> None:
            await self._repository.bounced(
                session, delivery.id, error=refusal.detail, patience=BOUNCES_SUFFERED, now=self._clock.now()
            )

        await self._database.run(work)

    async def _missed(self, delivery: ReportDelivery, error: Exception) -> None:
        reason = error.detail if isinstance(error, FaregateError) else f"{type(error).__name__}: {error}"
        now, attempt = self._clock.now(), delivery.attempts
        again_at = now + DELAYS[attempt - 1] if attempt <= len(DELAYS) else None
        log.warning("report_not_sent", report=delivery.name, delivery=str(delivery.id), attempt=attempt, reason=reason)
        async with self._database.transaction() as session:
            await self._repository.retry(session, delivery.id, error=reason, again_at=again_at, now=now)
