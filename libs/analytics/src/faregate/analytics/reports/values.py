"""Values of reports, their subscriptions and their deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from faregate.analytics.question.filters import Filters

__all__ = [
    "FILTER_NAMES",
    "UNSUBSCRIBE_MARK",
    "ComposedReport",
    "Recipient",
    "RecipientState",
    "ReportAttachment",
    "ReportDelivery",
    "ReportFile",
    "ReportKind",
    "ReportScope",
    "ReportSpec",
    "ReportStatus",
    "ReportSubscription",
]

FILTER_NAMES = ("service", "model", "provider", "feature", "country", "device")
"""The filters that a report may have; whose use it is about is its scope."""

UNSUBSCRIBE_MARK = "https://unsubscribe.invalid/"


class ReportKind(StrEnum):
    """How often a report is sent: the day before, the seven days before, the calendar month before."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class ReportScope(StrEnum):
    """Whose use a report is about."""

    BUSINESS = "business"
    ORGANIZATION = "organization"
    USER = "user"


class ReportFile(StrEnum):
    """A file that is attached: all figures as XLSX or CSV, or the statement of credits as PDF."""

    XLSX = "xlsx"
    CSV = "csv"
    PDF = "pdf"


class RecipientState(StrEnum):
    """Whether a recipient is sent mail; `suspended` after several bounces in a row."""

    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    SUSPENDED = "suspended"


class ReportStatus(StrEnum):
    """The state of a delivery: `pending` until the mail server accepts it, or refuses it for good (`bounced`).

    `failed` after the last attempt; `cancelled` if the recipient unsubscribed in the meantime.
    """

    PENDING = "pending"
    SENT = "sent"
    BOUNCED = "bounced"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """The specification of a subscription.

    Attributes:
        name: identifies it.
        owner: the id of the organisation or the user; None for the whole business.
        recipients: addresses; each gets a mail of its own.
        timezone: of the days of the report and of the hour of sending.
        hour: from 0 to 23, on the day of sending.
        weekday: of weekly reports, from 1 (Monday) to 7; the seven days before this day are reported.
        month_day: of monthly reports, from 1 to 28; the calendar month before is reported.
    """

    name: str
    kind: ReportKind
    recipients: tuple[str, ...]
    scope: ReportScope = ReportScope.BUSINESS
    owner: str | None = None
    filters: Filters = field(default_factory=Filters)
    timezone: str = "UTC"
    hour: int = 7
    weekday: int = 1
    month_day: int = 1
    files: tuple[ReportFile, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient. `changed_at` is when the state changed last, `last_error` what the mail server said of the last bounce."""

    address: str
    state: RecipientState
    token: UUID
    changed_at: datetime
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class ReportSubscription:
    """A subscription as it is stored; `next_at` is when the next report is due, None while it is not active."""

    spec: ReportSpec
    recipients: Sequence[Recipient]
    next_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ReportDelivery:
    """One report for one recipient. `test` marks mails that somebody asked for.

    Attributes:
        attempts: how often it was tried.
        next_at: when it is tried next, while it is pending.
        token: identifies the recipient's subscription in links to unsubscribe; None for a test.
    """

    id: UUID
    name: str
    address: str
    period_start: datetime
    period_end: datetime
    status: ReportStatus
    test: bool
    attempts: int
    due_at: datetime
    next_at: datetime
    finished_at: datetime | None
    last_error: str | None
    token: UUID | None = None


@dataclass(frozen=True, slots=True)
class ReportAttachment:
    """A file of a report."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ComposedReport:
    """A report that is ready for sending; `html` refers to the images as `cid:<name>`.

    In `text` and `html`, `UNSUBSCRIBE_MARK` stands where the recipient's link to unsubscribe goes.
    """

    subject: str
    text: str
    html: str
    images: Sequence[ReportAttachment]
    files: Sequence[ReportAttachment]
