"""Files of a report: figures as a table, statement as PDF."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.formats import Format
from faregate.analytics.exports.tables import Table, table_file
from faregate.analytics.reports.content.figures import ReportFigures
from faregate.analytics.reports.content.page import about
from faregate.analytics.reports.documents.statement_lines import statement_lines
from faregate.analytics.reports.documents.statement_pdf import Letterhead, statement_pdf
from faregate.analytics.reports.values import ReportAttachment, ReportFile, ReportScope
from faregate.analytics.values import Measures
from faregate.core.values.time_zones import time_zone

__all__ = ["files_of"]

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_COLUMNS = (
    Column("part", Kind.TEXT),
    Column("value", Kind.TEXT),
    Column("requests", Kind.INTEGER),
    Column("failed_requests", Kind.INTEGER),
    Column("input_tokens", Kind.INTEGER),
    Column("output_tokens", Kind.INTEGER),
    Column("credits_used", Kind.CREDITS),
    Column("credits_charged", Kind.CREDITS),
    Column("average_latency_ms", Kind.NUMBER),
)
_COST = Column("provider_cost_usd", Kind.USD)
_STATEMENT = Column("statement_credits", Kind.CREDITS)


async def files_of(figures: ReportFigures, kinds: Sequence[ReportFile], *, title: str) -> list[ReportAttachment]:
    """Return the files of these kinds; amounts are exact. A statement only if the owner has a wallet.

    Raises:
        MissingExtraError: the typesetter of the statement is not installed.
    """
    found: list[ReportAttachment] = []
    for kind in kinds:
        made = await _statement(figures, title) if kind is ReportFile.PDF else await _table_file(figures, kind)
        if made is not None:
            found.append(made)
    return found


async def _table_file(figures: ReportFigures, kind: ReportFile) -> ReportAttachment:
    form, media_type = (Format.XLSX, _XLSX) if kind is ReportFile.XLSX else (Format.CSV, "text/csv")
    return ReportAttachment(_name(figures, kind.value), media_type, await table_file(_table(figures), form))


async def _statement(figures: ReportFigures, title: str) -> ReportAttachment | None:
    if figures.statement is None:
        return None
    period = figures.period
    head = Letterhead(title, figures.owner_id, period.start, period.end, timezone=period.timezone)
    content = await statement_pdf(figures.statement, head, now=figures.made_at)
    return ReportAttachment(_name(figures, "pdf", "statement"), "application/pdf", content)


def _name(figures: ReportFigures, ending: str, what: str | None = None) -> str:
    zone = time_zone(figures.period.timezone)
    first = figures.period.start.astimezone(zone)
    return f"{what or figures.spec.kind}-{first:%Y-%m-%d}.{ending}"


def _table(figures: ReportFigures) -> Table:
    with_cost = figures.spec.scope is ReportScope.BUSINESS
    columns = [*_COLUMNS, *([_COST] if with_cost else []), *([_STATEMENT] if figures.statement else [])]
    rows = [[part, value, *_values(sums, with_cost)] for part, value, sums in _parts(figures)]
    width = len(columns)
    padded = [[*row, *[None] * (width - len(row))] for row in rows]
    lines = statement_lines(figures.statement) if figures.statement is not None else ()
    stated = [["statement", line.name, *[None] * (width - 3), line.amount] for line in lines]
    return Table(columns, [*padded, *stated], _about(figures))


def _parts(figures: ReportFigures) -> Iterator[tuple[str, str | None, Measures]]:
    usage, zone = figures.usage, time_zone(figures.period.timezone)
    yield "total", None, usage.metrics.measures
    yield "period before", None, usage.before.measures
    for point in usage.series:
        yield figures.unit, _moment(point.period.astimezone(zone), figures.unit), point.measures
    for dimension, parts in usage.breakdowns.items():
        yield from ((dimension, part.value, part.measures) for part in parts if part.measures.facts)
    yield from (("user", user.user_id, user.measures) for user in usage.users)


def _moment(local: datetime, unit: str) -> str:
    return f"{local:%Y-%m-%d %H:%M}" if unit == "hour" else f"{local:%Y-%m-%d}"


def _values(sums: Measures, with_cost: bool) -> list[Any]:
    return [
        sums.requests,
        sums.errors,
        sums.input_tokens,
        sums.output_tokens,
        sums.total_credits,
        sums.charged_credits,
        sums.average_latency_ms,
        *([sums.cost_usd] if with_cost else []),
    ]


def _about(figures: ReportFigures) -> dict[str, Any]:
    return {
        "report": figures.spec.name,
        "kind": figures.spec.kind.value,
        "about": about(figures.spec),
        "from": figures.period.start,
        "to (not included)": figures.period.end,
        "timezone": figures.period.timezone,
        "compared from": figures.before.start,
        "made at": figures.made_at,
        **({"notes": " ".join(figures.notes)} if figures.notes else {}),
    }
