"""Page of a report: tiles, chart, tables, statement. Pure.

The HTML and the text of a mail are both made from it, so that they say the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from faregate.analytics.reports.content.figures import USERS_SHOWN, ReportFigures
from faregate.analytics.reports.content.numbers import DASH, change, day_of, money, percent, rounded, span_of, whole
from faregate.analytics.reports.documents.statement_lines import statement_lines, statement_notes
from faregate.analytics.reports.values import ReportKind, ReportScope, ReportSpec
from faregate.analytics.values import Breakdown, Measures, Point
from faregate.core.values.time_zones import time_zone

__all__ = ["ReportChart", "ReportPage", "ReportTable", "Tile", "page_of"]

_PARTS_SHOWN = 6
_TITLES = {
    ReportKind.DAILY: "Daily summary",
    ReportKind.WEEKLY: "Weekly analytics",
    ReportKind.MONTHLY: "Monthly billing",
}
_PREVIOUS = {ReportKind.DAILY: "day", ReportKind.WEEKLY: "week", ReportKind.MONTHLY: "month"}


@dataclass(frozen=True, slots=True)
class Tile:
    """One number; `change` compares it with the period before."""

    label: str
    value: str
    change: str


@dataclass(frozen=True, slots=True)
class ReportChart:
    """Bars over time, with the words that say the same; `ticks` are (bar, label)."""

    title: str
    summary: str
    values: Sequence[int]
    ticks: Sequence[tuple[int, str]]
    highest: str


@dataclass(frozen=True, slots=True)
class ReportTable:
    """A table; the first column is text, the others are numbers. Rows in `strong` are totals."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    strong: frozenset[int] = frozenset()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ReportPage:
    """Everything that a report says."""

    title: str
    about: str
    span: str
    compared: str
    headline: str
    tiles: Sequence[Tile]
    chart: ReportChart
    tables: Sequence[ReportTable]
    notes: Sequence[str] = field(default_factory=tuple)


def page_of(figures: ReportFigures) -> ReportPage:
    """Return the page of these figures. Nobody but the business sees provider cost and margin."""
    spec = figures.spec
    now, before = figures.usage.metrics.measures, figures.usage.before.measures
    credits_change = change(now.total_credits, before.total_credits)
    return ReportPage(
        title=_TITLES[spec.kind],
        about=about(spec),
        span=span_of(figures.period),
        compared=f"Compared with the {_PREVIOUS[spec.kind]} before, {span_of(figures.before)}",
        headline=f"{rounded(now.total_credits)} credits, {whole(now.requests)} requests"
        + (f" ({credits_change} credits)" if credits_change != DASH else ""),
        tiles=list(_tiles(figures)),
        chart=_chart(figures),
        tables=list(_tables(figures)),
        notes=list(_notes(figures)),
    )


def about(spec: ReportSpec) -> str:
    """Return whose use a report is about, with its filters."""
    owner = "all usage" if spec.owner is None else f"{spec.scope} {spec.owner}"
    given = [f"{name} {value}" for name, value in spec.filters.given.items()]
    return ", ".join([owner, *given])


def _tiles(figures: ReportFigures) -> Iterator[Tile]:
    usage, earlier = figures.usage.metrics, figures.usage.before
    now, before = usage.measures, earlier.measures
    yield Tile("Credits used", rounded(now.total_credits), change(now.total_credits, before.total_credits))
    yield Tile("Credits charged", rounded(now.charged_credits), change(now.charged_credits, before.charged_credits))
    yield Tile("Requests", whole(now.requests), change(now.requests, before.requests))
    yield Tile("Tokens", whole(now.tokens), change(now.tokens, before.tokens))
    yield Tile("Failed requests", percent(now.error_rate), _rates(now.error_rate, before.error_rate))
    if figures.spec.scope is ReportScope.USER:
        yield _latency(usage.p95_ms, earlier.p95_ms)
        return
    people = "Active users" if figures.spec.scope is ReportScope.BUSINESS else "Active members"
    yield Tile(people, whole(usage.unique_users), change(usage.unique_users, earlier.unique_users))
    if figures.spec.scope is ReportScope.BUSINESS:
        price = figures.credit_price_usd
        margins = [measures.margin_credits(price) * price for measures in (now, before)]
        yield Tile("Provider cost", money(now.cost_usd), change(now.cost_usd, before.cost_usd))
        yield Tile("Margin", money(margins[0]), change(*margins))


def _latency(now: Decimal | None, before: Decimal | None) -> Tile:
    shown = DASH if now is None else f"{now:,.0f} ms"
    return Tile("95 % answered within", shown, DASH if now is None or before is None else change(now, before))


def _rates(now: Decimal | None, before: Decimal | None) -> str:
    if now is None or before is None:
        return DASH
    points = ((now - before) * 100).quantize(Decimal("0.01"))
    return f"{points:+f} points" if points else "±0 points"


def _chart(figures: ReportFigures) -> ReportChart:
    points = figures.usage.series
    in_credits = any(point.measures.credits for point in points)
    values = [point.measures.credits if in_credits else point.measures.requests for point in points]
    name = "Credits" if in_credits else "Requests"
    shown = [
        rounded(point.measures.total_credits) if in_credits else whole(point.measures.requests) for point in points
    ]
    top = max(range(len(values)), key=lambda place: values[place])
    summary = f"The most were {shown[top]} {_at(figures, points[top])}." if any(values) else "There was no use."
    return ReportChart(f"{name} per {figures.unit}", summary, values, _ticks(figures), shown[top])


def _at(figures: ReportFigures, point: Point) -> str:
    zone = time_zone(figures.period.timezone)
    if figures.unit == "hour":
        return f"from {point.period.astimezone(zone):%H:%M}"
    return f"on {day_of(point.period, zone)}"


def _ticks(figures: ReportFigures) -> list[tuple[int, str]]:
    zone = time_zone(figures.period.timezone)
    points = figures.usage.series
    if figures.unit == "hour":
        return [(place, f"{points[place].period.astimezone(zone):%H:%M}") for place in range(0, len(points), 6)]
    days = [point.period.astimezone(zone) for point in points]
    if len(days) <= 7:
        return [(place, f"{day:%a} {day.day}") for place, day in enumerate(days)]
    return [(place, f"{days[place].day} {days[place]:%b}") for place in range(0, len(days), 7)]


def _tables(figures: ReportFigures) -> Iterator[ReportTable]:
    if figures.statement is not None:
        lines = list(statement_lines(figures.statement))
        yield ReportTable(
            "Statement of credits",
            ["Line", "Credits"],
            [[line.name, f"{line.amount:,f}"] for line in lines],
            frozenset(place for place, line in enumerate(lines) if line.bold),
            list(statement_notes(figures.statement)),
        )
    with_cost = figures.spec.scope is ReportScope.BUSINESS
    total = figures.usage.metrics.measures
    names = {"feature": "Features", "model": "Models", "organization": "Organisations"}
    for dimension, parts in figures.usage.breakdowns.items():
        found = [part for part in parts if part.measures.facts and (part.value is not None or dimension == "feature")]
        if found and not (dimension == "organization" and len(found) == 0):
            yield _parts(names[dimension], found, total, with_cost=with_cost)
    if figures.usage.users:
        yield _people(figures)


def _parts(title: str, parts: Sequence[Breakdown], total: Measures, *, with_cost: bool) -> ReportTable:
    rest = sum((part.measures for part in parts[_PARTS_SHOWN:]), Measures())
    shown = [(part.value or "none", part.measures) for part in parts[:_PARTS_SHOWN]]
    if len(parts) > _PARTS_SHOWN:
        shown.append((f"{len(parts) - _PARTS_SHOWN} others", rest))
    columns = ["", "Requests", "Credits", "Share", *(["Cost"] if with_cost else [])]
    rows = [
        [
            name,
            whole(measures.requests),
            rounded(measures.total_credits),
            _share(measures, total),
            *([money(measures.cost_usd)] if with_cost else []),
        ]
        for name, measures in shown
    ]
    return ReportTable(title, columns, rows)


def _people(figures: ReportFigures) -> ReportTable:
    title = "Members" if figures.spec.scope is ReportScope.ORGANIZATION else "Users"
    users, total = figures.usage.users, figures.usage.metrics.measures
    rows = [
        [
            user.user_id,
            whole(user.measures.requests),
            rounded(user.measures.total_credits),
            _share(user.measures, total),
        ]
        for user in users
    ]
    notes = [f"The first {USERS_SHOWN} by credits."] if figures.usage.metrics.unique_users > len(users) else []
    return ReportTable(title, ["", "Requests", "Credits", "Share"], rows, notes=notes)


def _share(measures: Measures, total: Measures) -> str:
    if not total.credits:
        return DASH
    return f"{(Decimal(measures.credits) / Decimal(total.credits) * 100).quantize(Decimal('0.1')):f} %"


def _notes(figures: ReportFigures) -> Iterator[str]:
    yield f"Days are those of {figures.period.timezone}."
    unpriced = figures.usage.metrics.measures.unpriced
    if unpriced:
        calls = f"{whole(unpriced)} calls of models" if unpriced > 1 else "One call of a model"
        yield f"{calls} had no known price; their cost is not in these figures."
    if figures.spec.kind is ReportKind.MONTHLY and figures.statement is None:
        yield "There is no statement: the owner has no wallet."
    if figures.statement is not None and figures.spec.filters.given:
        yield "The statement is that of the whole wallet; filters do not apply to it."
    yield from (f"{note[0].upper()}{note[1:]}." for note in figures.notes)
