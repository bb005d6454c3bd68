"""Tables of explorations, as the dashboard shows them."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import accumulate
from typing import Any

from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.tables import Table
from faregate.gateway.schemas.exploration import ExploreAnswer, ExploreFileQuery, SliceAnswer, SumsAnswer

__all__ = ["explore_table"]

_NONE, _REST = "(none)", "(others or none)"
_PERIOD, _TOTAL, _BEFORE = "period", "(total)", "(period before)"
_SUMS = {
    "requests": Kind.INTEGER,
    "errors": Kind.INTEGER,
    "inputTokens": Kind.INTEGER,
    "outputTokens": Kind.INTEGER,
    "unpriced": Kind.INTEGER,
    "credits": Kind.CREDITS,
    "chargedCredits": Kind.CREDITS,
    "marginCredits": Kind.NUMBER,
    "providerCostUsd": Kind.USD,
    "averageResponseTime": Kind.NUMBER,
}
_KINDS = {"credits": Kind.CREDITS, "charged": Kind.CREDITS, "cost": Kind.USD}


def explore_table(answer: ExploreAnswer, query: ExploreFileQuery) -> Table:
    """Return the values of the dimension, or the periods with the series of each value."""
    columns, rows = _values(answer, query) if query.table == "values" else _periods(answer, query)
    about = {
        "table": query.table,
        "of": query.of,
        "by": query.by,
        "then": query.then,
        "start": answer.range.start,
        "end": answer.range.end,
        "timezone": answer.range.timezone,
        "filters": query.filters(meter=query.meter).given,
        "totals": answer.totals.model_dump(),
    }
    return Table(columns, rows, about)


def _values(answer: ExploreAnswer, query: ExploreFileQuery) -> tuple[Sequence[Column], Sequence[Sequence[Any]]]:
    names = [query.by, *([query.then] if query.then is not None else [])]
    columns = [Column(name, Kind.TEXT) for name in names]
    columns += [Column(name, kind) for name, kind in _SUMS.items()]
    return columns, [row for each in answer.slices for row in _value_rows(each, divided=query.then is not None)]


def _value_rows(found: SliceAnswer, *, divided: bool) -> Iterator[list[Any]]:
    name = _name(found)
    yield [name, *([None] if divided else []), *_sums(found)]
    for part in found.parts if divided else ():
        yield [name, part.value if part.value is not None else _NONE, *_sums(part)]


def _periods(answer: ExploreAnswer, query: ExploreFileQuery) -> tuple[Sequence[Column], Sequence[Sequence[Any]]]:
    kind = _KINDS.get(query.of, Kind.INTEGER)
    series: list[tuple[str, Sequence[Decimal | None]]] = [(_name(each), each.series) for each in answer.slices]
    series.append((_TOTAL, answer.series))
    if answer.seriesBefore is not None:
        missing = len(answer.periods) - len(answer.seriesBefore)
        series.append((_BEFORE, [*answer.seriesBefore, *[None] * missing]))
    columns = [Column(_PERIOD, Kind.MOMENT), *(Column(name, kind) for name in _distinct(name for name, _ in series))]
    values = [_running(each) if query.cumulative else each for _, each in series]
    return columns, [[period, *(each[at] for each in values)] for at, period in enumerate(answer.periods)]


def _distinct(names: Iterable[str]) -> list[str]:
    """Return the names, with a number behind one that stands in the table already."""
    found = [_PERIOD]
    for name in names:
        number, shown = 2, name
        while shown in found:
            number, shown = number + 1, f"{name} ({number})"
        found.append(shown)
    return found[1:]


def _running(values: Sequence[Decimal | None]) -> list[Decimal | None]:
    known = [value for value in values if value is not None]
    return [*accumulate(known), *[None] * (len(values) - len(known))]


def _name(found: SliceAnswer) -> str:
    if found.isRest:
        return _REST
    return found.value if found.value is not None else _NONE


def _sums(found: SumsAnswer) -> list[Any]:
    return [getattr(found, name) for name in _SUMS]
