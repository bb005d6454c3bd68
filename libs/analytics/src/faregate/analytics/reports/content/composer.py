"""Composition of a report: subject, text, HTML, chart and files."""

import asyncio
from collections.abc import Sequence

from faregate.analytics.question.filters import TimeRange
from faregate.analytics.reports.content.charts import bars_png
from faregate.analytics.reports.content.figures import FigureReader
from faregate.analytics.reports.content.files import files_of
from faregate.analytics.reports.content.html import CHART, html_of
from faregate.analytics.reports.content.page import ReportPage, page_of
from faregate.analytics.reports.content.text import text_of
from faregate.analytics.reports.values import (
    UNSUBSCRIBE_MARK,
    ComposedReport,
    ReportAttachment,
    ReportScope,
    ReportSpec,
)

__all__ = ["ReportComposer"]

_LONGEST_SUBJECT = 180


class ReportComposer:
    """Composes reports. `public_url` is the address of the gateway for links; `title` stands above statements."""

    def __init__(self, reader: FigureReader, *, public_url: str | None, title: str) -> None:
        self._reader = reader
        self._public_url = public_url
        self._title = title

    async def files(self, spec: ReportSpec, period: TimeRange) -> Sequence[ReportAttachment]:
        """Return the files of this report alone."""
        return await files_of(await self._reader.read(spec, period), spec.files, title=self._title)

    async def compose(self, spec: ReportSpec, period: TimeRange) -> ComposedReport:
        """Return the mail of this report, the same for each recipient but for the link to unsubscribe.

        Raises:
            MissingExtraError: the extra `reports` is not installed, or `pdf` for a statement.
        """
        figures = await self._reader.read(spec, period)
        page = page_of(figures)
        files = await files_of(figures, spec.files, title=self._title)
        text, html, chart = await asyncio.to_thread(self._rendered, spec, page)
        images = [ReportAttachment(CHART, "image/png", chart)] if chart is not None else []
        return ComposedReport(_subject(page), text, html, images, files)

    def _rendered(self, spec: ReportSpec, page: ReportPage) -> tuple[str, str, bytes | None]:
        footer = f"You receive this mail because your address is subscribed to the report {spec.name}."
        unsubscribe = UNSUBSCRIBE_MARK if self._public_url is not None else None
        link = self._link(spec)
        text = text_of(page, footer=footer, unsubscribe=unsubscribe, link=link)
        html = html_of(page, footer=footer, unsubscribe=unsubscribe, link=link)
        return text, html, bars_png(page.chart.values) if any(page.chart.values) else None

    def _link(self, spec: ReportSpec) -> str | None:
        """Return the address of the dashboard, which is for the business: customers have a page of their own."""
        if self._public_url is None or spec.scope is not ReportScope.BUSINESS:
            return None
        return f"{self._public_url}/dashboard"


def _subject(page: ReportPage) -> str:
    subject = f"{page.title} of {page.about}, {page.span}: {page.headline}"
    return subject if len(subject) <= _LONGEST_SUBJECT else subject[: _LONGEST_SUBJECT - 1] + "…"
