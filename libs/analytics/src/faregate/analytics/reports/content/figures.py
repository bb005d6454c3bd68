"""Figures of one report: usage, the period before, the statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from faregate.analytics.answers.service import AnalyticsService, ComparedPeriod
from faregate.analytics.question.calendar import Unit
from faregate.analytics.question.filters import Filters, Question, TimeRange
from faregate.analytics.question.range_before import range_before
from faregate.analytics.reports.values import FILTER_NAMES, ReportFile, ReportKind, ReportScope, ReportSpec
from faregate.core.clock import IClock
from faregate.credit.errors import UnknownWalletError
from faregate.credit.services.accounting import AccountStatement
from faregate.credit.services.bookkeeping import Bookkeeping
from faregate.wire.ids import organization_owner_id

__all__ = ["USERS_SHOWN", "FigureReader", "ReportFigures"]

USERS_SHOWN = 10
_DIMENSIONS: Mapping[ReportScope, Sequence[str]] = {
    ReportScope.BUSINESS: ("feature", "model", "organization"),
    ReportScope.ORGANIZATION: ("feature", "model"),
    ReportScope.USER: ("feature", "model"),
}


@dataclass(frozen=True, slots=True)
class ReportFigures:
    """All values of a report.

    Attributes:
        statement: of monthly reports and those with a statement attached; None if the owner has no wallet.
        notes: what is left out of the figures.
    """

    spec: ReportSpec
    period: TimeRange
    before: TimeRange
    usage: ComparedPeriod
    unit: Unit
    statement: AccountStatement | None
    credit_price_usd: Decimal
    made_at: datetime
    notes: Sequence[str] = ()

    @property
    def owner_id(self) -> str | None:
        """The id of the owner's wallet; None for the whole business."""
        return _owner_id(self.spec)


class FigureReader:
    """Reads the figures of reports, each from one snapshot of the usage."""

    def __init__(
        self, analytics: AnalyticsService, books: Bookkeeping, clock: IClock, *, credit_price_usd: Decimal
    ) -> None:
        self._analytics = analytics
        self._books = books
        self._clock = clock
        self._credit_price_usd = credit_price_usd

    async def read(self, spec: ReportSpec, period: TimeRange) -> ReportFigures:
        """Return the figures of the report that `spec` describes about `period`."""
        before = range_before(period, now=period.end)
        filters = filters_of(spec)
        asked, earlier = Question(period, filters), Question(before, filters)
        unit: Unit = "hour" if spec.kind is ReportKind.DAILY else "day"
        usage = await self._analytics.compared(
            asked,
            earlier,
            unit=unit,
            by=_DIMENSIONS[spec.scope],
            users=0 if spec.scope is ReportScope.USER else USERS_SHOWN,
        )
        notes = [note for note in (asked.omissions.note, earlier.omissions.note) if note is not None]
        return ReportFigures(
            spec,
            period,
            before,
            usage,
            unit,
            await self._statement(spec, period),
            self._credit_price_usd,
            self._clock.now(),
            list(dict.fromkeys(notes)),
        )

    async def _statement(self, spec: ReportSpec, period: TimeRange) -> AccountStatement | None:
        if spec.kind is not ReportKind.MONTHLY and ReportFile.PDF not in spec.files:
            return None
        try:
            return await self._books.statement(_owner_id(spec), since=period.start, until=period.end)
        except UnknownWalletError:
            return None


def filters_of(spec: ReportSpec) -> Filters:
    """Return the filters of a report with its owner."""
    given = {name: getattr(spec.filters, name) for name in FILTER_NAMES}
    if spec.scope is ReportScope.ORGANIZATION:
        return Filters(**given, organization_id=spec.owner)
    return Filters(**given, user_id=spec.owner)


def _owner_id(spec: ReportSpec) -> str | None:
    if spec.owner is None or spec.scope is ReportScope.USER:
        return spec.owner
    return organization_owner_id(spec.owner)
