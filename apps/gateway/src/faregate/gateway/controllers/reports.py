"""Controller of `/api/reports`: reports by mail."""

from datetime import datetime
from uuid import UUID

from starlette.responses import HTMLResponse, Response

from faregate.analytics.reports.content.browser import page_for_browser
from faregate.analytics.reports.errors import UnknownReportDeliveryError, UnknownReportError
from faregate.analytics.reports.service import ReportService
from faregate.analytics.reports.values import ReportFile
from faregate.core.errors import InvalidError, MissingExtraError
from faregate.gateway.http.operation import Audit, Controller, Page, link, operation
from faregate.gateway.http.personal import Personal
from faregate.gateway.schemas.base import PageQuery, cursor_of, position_of
from faregate.gateway.schemas.reports import (
    BounceBody,
    ReportAnswer,
    ReportBody,
    ReportDeliveryAnswer,
    ReportFileQuery,
    ReportPreviewAnswer,
    ReportPreviewQuery,
    ReportsQuery,
    ReportTestBody,
    ResumeBody,
    delivery_answer_of,
    preview_answer,
    report_answer,
)
from faregate.gateway.security.auth import Scope

__all__ = ["ReportsController"]

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_AT_ONCE = 4
"""Composing a report takes a while of a processor."""

_PAGE_HEADERS = {
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""The mail's own styles apply, but nothing of it runs or loads."""


class ReportsController(Controller):
    """Reports over HTTP."""

    def __init__(self, reports: ReportService) -> None:
        self._reports = reports

    @operation("GET", "/api/reports", scope=Scope.ANALYTICS_READ, answer=list[ReportAnswer])
    async def list_reports(self, query: ReportsQuery) -> Page:
        """List the reports by name, each with its recipients."""
        position = position_of(query.cursor, str)
        found = await self._reports.list(after=position[0] if position else None, limit=query.limit)
        cursor = cursor_of(found[-1].spec.name) if len(found) == query.limit else None
        return Page([report_answer(each) for each in found], cursor)

    @operation(
        "GET", "/api/reports/{name}", scope=Scope.ANALYTICS_READ, answer=ReportAnswer, errors=(UnknownReportError,)
    )
    async def get_report(self, name: str) -> ReportAnswer:
        """Return one report."""
        return report_answer(await self._reports.get(name))

    @operation(
        "PUT",
        "/api/reports/{name}",
        scope=Scope.REPORTS_WRITE,
        answer=ReportAnswer,
        errors=(InvalidError,),
        links={
            "read": link("reports.get_report", path={"name": "name"}),
            "preview": link("reports.preview_report", path={"name": "name"}),
            "show": link("reports.show_report", path={"name": "name"}),
            "download": link("reports.download_report", path={"name": "name"}),
            "test": link("reports.test_report", path={"name": "name"}),
            "resume": link("reports.resume_report", path={"name": "name"}),
            "deliveries": link("reports.list_report_deliveries", path={"name": "name"}),
            "delete": link("reports.delete_report", path={"name": "name"}),
        },
        rehearsable=True,
    )
    async def put_report(self, name: str, body: ReportBody) -> ReportAnswer:
        """Subscribe recipients to a report of the business, an organisation or a user, or change it.

        The first mail is sent when the report is next due. A weekly report is about the seven days before its weekday, a monthly
        one about the calendar month before. Who has unsubscribed stays so.
        """
        return report_answer(await self._reports.put(body.spec(name)))

    @operation(
        "DELETE", "/api/reports/{name}", scope=Scope.REPORTS_WRITE, errors=(UnknownReportError,), rehearsable=True
    )
    async def delete_report(self, name: str) -> dict[str, str]:
        """Delete a report, its recipients and the history of its mails."""
        await self._reports.remove(name)
        return {"name": name}

    @operation(
        "GET",
        "/api/reports/{name}/preview",
        scope=Scope.ANALYTICS_READ,
        answer=ReportPreviewAnswer,
        concurrency=_AT_ONCE,
        personal=Personal.IDS,
        errors=(UnknownReportError, MissingExtraError),
        audit=Audit.PERSONAL,
    )
    async def preview_report(self, name: str, query: ReportPreviewQuery) -> ReportPreviewAnswer:
        """Return the latest mail of a report, or that of another period; nothing is sent."""
        return preview_answer(*await self._reports.preview(name, day=query.day))

    @operation(
        "GET",
        "/api/reports/{name}/page",
        scope=Scope.ANALYTICS_READ,
        produces=("text/html",),
        concurrency=_AT_ONCE,
        personal=Personal.IDS,
        errors=(UnknownReportError, MissingExtraError),
        audit=Audit.PERSONAL,
    )
    async def show_report(self, name: str, query: ReportPreviewQuery) -> Response:
        """Show the mail in a browser, with its images."""
        _, report = await self._reports.preview(name, day=query.day)
        return HTMLResponse(page_for_browser(report), headers=_PAGE_HEADERS)

    @operation(
        "GET",
        "/api/reports/{name}/file",
        scope=Scope.ANALYTICS_READ,
        produces=(_XLSX, "text/csv", "application/pdf"),
        concurrency=_AT_ONCE,
        personal=Personal.IDS,
        errors=(UnknownReportError, InvalidError, MissingExtraError),
        audit=Audit.PERSONAL,
    )
    async def download_report(self, name: str, query: ReportFileQuery) -> Response:
        """Download the figures of a report as xlsx or csv, or the statement of its period as pdf."""
        made = await self._reports.file(name, ReportFile(query.format), day=query.day)
        headers = {"content-disposition": f'attachment; filename="{made.name}"', "cache-control": "no-store"}
        return Response(made.content, media_type=made.media_type, headers=headers)

    @operation(
        "POST",
        "/api/reports/{name}/test",
        scope=Scope.REPORTS_WRITE,
        answer=ReportDeliveryAnswer,
        status=201,
        errors=(UnknownReportError, InvalidError),
        rehearsable=True,
    )
    async def test_report(self, name: str, body: ReportTestBody) -> ReportDeliveryAnswer:
        """Mail the latest report to one address, marked as a test; the worker sends it within seconds."""
        return delivery_answer_of(await self._reports.request_test(name, body.address))

    @operation(
        "POST",
        "/api/reports/{name}/resume",
        scope=Scope.REPORTS_WRITE,
        answer=ReportAnswer,
        errors=(UnknownReportError,),
        rehearsable=True,
    )
    async def resume_report(self, name: str, body: ResumeBody) -> ReportAnswer:
        """Mail recipients again whose mails bounced; those who unsubscribed are left alone."""
        return report_answer(await self._reports.resume(name, body.address))

    @operation(
        "GET",
        "/api/reports/{name}/deliveries",
        scope=Scope.ANALYTICS_READ,
        answer=list[ReportDeliveryAnswer],
        errors=(UnknownReportError,),
    )
    async def list_report_deliveries(self, name: str, query: PageQuery) -> Page:
        """List the mails of a report, the latest first."""
        position = position_of(query.cursor, datetime, UUID)
        before = (position[0], position[1]) if position else None
        found = await self._reports.deliveries(name, before=before, limit=query.limit)
        cursor = cursor_of(found[-1].due_at, str(found[-1].id)) if len(found) == query.limit else None
        return Page([delivery_answer_of(each) for each in found], cursor)

    @operation(
        "POST",
        "/api/report-bounces",
        scope=Scope.REPORTS_WRITE,
        answer=ReportDeliveryAnswer,
        errors=(UnknownReportDeliveryError,),
        rehearsable=True,
        tag="reports",
    )
    async def note_bounce(self, body: BounceBody) -> ReportDeliveryAnswer:
        """Record that a mail came back after the mail server had accepted it; after three in a row the recipient is suspended."""
        return delivery_answer_of(await self._reports.note_bounce(body.message_id, body.reason))
