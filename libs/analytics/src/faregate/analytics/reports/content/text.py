"""Plain-text part of a report's mail. Pure."""

from collections.abc import Iterator

from faregate.analytics.reports.content.page import ReportPage, ReportTable

__all__ = ["text_of"]


def text_of(page: ReportPage, *, footer: str, unsubscribe: str | None, link: str | None) -> str:
    """Return the mail for programs that show no HTML; with the same numbers."""
    return "\n".join(line.rstrip() for line in _lines(page, footer, unsubscribe, link)) + "\n"


def _lines(page: ReportPage, footer: str, unsubscribe: str | None, link: str | None) -> Iterator[str]:
    yield f"{page.title}: {page.about}"
    yield page.span
    yield ""
    width = max(len(tile.label) for tile in page.tiles)
    values = max(len(tile.value) for tile in page.tiles)
    for tile in page.tiles:
        yield f"{tile.label:<{width}}  {tile.value:>{values}}  {tile.change}"
    yield ""
    yield f"{page.compared}."
    yield f"{page.chart.title}: {page.chart.summary}"
    for table in page.tables:
        yield ""
        yield from _table(table)
    yield ""
    yield from page.notes
    if link is not None:
        yield f"Dashboard: {link}"
    yield ""
    yield footer
    if unsubscribe is not None:
        yield f"Unsubscribe: {unsubscribe}"


def _table(table: ReportTable) -> Iterator[str]:
    yield table.title
    rows = [table.columns, *table.rows] if table.columns[0] == "" else table.rows
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.columns))]
    for row in rows:
        first = f"  {row[0]:<{widths[0]}}"
        yield first + "".join(f"  {cell:>{width}}" for cell, width in zip(list(row)[1:], widths[1:], strict=True))
    yield from (f"  {note}" for note in table.notes)
