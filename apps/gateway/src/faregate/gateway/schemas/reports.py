"""Bodies and answers of `/api/reports`."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from faregate.analytics.question.filters import Filters, TimeRange
from faregate.analytics.reports.values import (
    FILTER_NAMES,
    ComposedReport,
    RecipientState,
    ReportDelivery,
    ReportFile,
    ReportKind,
    ReportScope,
    ReportSpec,
    ReportStatus,
    ReportSubscription,
)
from faregate.core.redaction.scrubbing import name_checked
from faregate.core.values.fields import AtMost, Body, Flag, LooseBody, Note, Text
from faregate.gateway.schemas.base import Answer, PageQuery

__all__ = [
    "BounceBody",
    "ReportAnswer",
    "ReportBody",
    "ReportDeliveryAnswer",
    "ReportFileQuery",
    "ReportPreviewAnswer",
    "ReportPreviewQuery",
    "ReportTestBody",
    "ReportsQuery",
    "ResumeBody",
    "delivery_answer_of",
    "preview_answer",
    "report_answer",
]

_Value = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(name_checked)]
_Mail = Annotated[Text, Field(min_length=3, max_length=254)]


class ReportFiltersBody(Body):
    """The use that a report counts; whose use it is, is its scope."""

    service: _Value | None = None
    model: _Value | None = None
    provider: _Value | None = None
    feature: _Value | None = None
    country: _Value | None = None
    device: _Value | None = None


class ReportBody(Body):
    """`PUT /api/reports/{name}`: a report that is mailed regularly."""

    kind: Annotated[ReportKind, Field(examples=["weekly"])]
    scope: ReportScope = ReportScope.BUSINESS
    owner: Annotated[_Value | None, Field(examples=[None, "acme"])] = None
    filters: ReportFiltersBody = Field(default_factory=ReportFiltersBody)
    timezone: Annotated[str, Field(max_length=64, examples=["Europe/Berlin"])] = "UTC"
    hour: Annotated[int, Field(ge=0, le=23, strict=True)] = 7
    weekday: Annotated[int, Field(ge=1, le=7, strict=True)] = 1
    month_day: Annotated[int, Field(ge=1, le=28, strict=True)] = 1
    recipients: Annotated[list[_Mail], AtMost(50), Field(min_length=1, examples=[["ops@example.com"]])]
    files: Annotated[list[ReportFile], AtMost(3)] = Field(default_factory=list[ReportFile])
    active: Flag = True

    def spec(self, name: str) -> ReportSpec:
        """Return the specification under its name."""
        given = self.filters.model_dump()
        return ReportSpec(
            name=name,
            kind=self.kind,
            recipients=tuple(self.recipients),
            scope=self.scope,
            owner=self.owner,
            filters=Filters(**{each: given[each] for each in FILTER_NAMES}),
            timezone=self.timezone,
            hour=self.hour,
            weekday=self.weekday,
            month_day=self.month_day,
            files=tuple(dict.fromkeys(self.files)),
            active=self.active,
        )


class ReportsQuery(PageQuery):
    """The page of the list of reports."""


class ReportPreviewQuery(LooseBody):
    """`day`: a day of the period that the report is about; without it the latest report."""

    day: date | None = None


class ReportFileQuery(ReportPreviewQuery):
    """A file of the report."""

    format: Literal["xlsx", "csv", "pdf"] = "xlsx"


class ReportTestBody(Body):
    """The address that gets the test mail."""

    address: Annotated[_Mail, Field(examples=["me@example.com"])]


class ResumeBody(Body):
    """The suspended recipient that is mailed again; without an address all of them."""

    address: _Mail | None = None


class BounceBody(Body):
    """A mail that came back: its header `Message-ID`, and why, in the words of the mail system."""

    message_id: Annotated[
        Text, Field(min_length=1, max_length=300, examples=["report-0190163d-8694-739b-aea5-966c26f8ad91@example.com"])
    ]
    reason: Annotated[Note, Field(min_length=1, max_length=500, examples=["550 5.1.1 no such user"])]


class RecipientAnswer(Answer):
    """A recipient; `last_error` is what the mail system said of the last bounce."""

    address: str
    state: RecipientState
    changed_at: datetime
    last_error: str | None


class ReportFiltersAnswer(Answer):
    """The use that a report counts."""

    service: str | None
    model: str | None
    provider: str | None
    feature: str | None
    country: str | None
    device: str | None


class ReportAnswer(Answer):
    """A report; `next_at` is when the next mail is due, null while it is not active."""

    name: str
    kind: ReportKind
    scope: ReportScope
    owner: str | None
    filters: ReportFiltersAnswer
    timezone: str
    hour: int
    weekday: int
    month_day: int
    recipients: list[RecipientAnswer]
    files: list[ReportFile]
    active: bool
    next_at: datetime | None
    updated_at: datetime


class ReportFileAnswer(Answer):
    """A file that is attached to the mail."""

    name: str
    media_type: str
    bytes: int


class ReportPreviewAnswer(Answer):
    """A report as it is mailed; `html` shows images that are in the mail. `GET /api/reports/{name}/page` shows it in a browser."""

    period_start: datetime
    period_end: datetime
    subject: str
    text: str
    html: str
    files: list[ReportFileAnswer]


class ReportDeliveryAnswer(Answer):
    """One mail to one recipient.

    `status` is `sent` once the mail server has accepted it, `bounced` if it refused it for good or the mail came back.
    """

    id: UUID
    report: str
    address: str
    period_start: datetime
    period_end: datetime
    status: ReportStatus
    test: bool
    attempts: int
    due_at: datetime
    next_at: datetime | None
    finished_at: datetime | None
    last_error: str | None


def report_answer(found: ReportSubscription) -> ReportAnswer:
    """Return a subscription."""
    spec = found.spec
    return ReportAnswer.of(
        spec,
        filters=ReportFiltersAnswer.of(spec.filters),
        recipients=[RecipientAnswer.of(each) for each in found.recipients],
        files=list(spec.files),
        next_at=found.next_at,
        updated_at=found.updated_at,
    )


def preview_answer(period: TimeRange, report: ComposedReport) -> ReportPreviewAnswer:
    """Return a report that was composed."""
    return ReportPreviewAnswer(
        period_start=period.start,
        period_end=period.end,
        subject=report.subject,
        text=report.text,
        html=report.html,
        files=[
            ReportFileAnswer(name=file.name, media_type=file.media_type, bytes=len(file.content))
            for file in report.files
        ],
    )


def delivery_answer_of(delivery: ReportDelivery) -> ReportDeliveryAnswer:
    """Return one mail."""
    waits = delivery.status is ReportStatus.PENDING
    return ReportDeliveryAnswer.of(delivery, report=delivery.name, next_at=delivery.next_at if waits else None)
