"""SQL of questions over the columnar copy. Pure.

The rows are those of the table of facts, and so are the sums: `conditions_sql` says the same to PostgreSQL. Numbers and names
that come from outside are parameters. What is written here, DuckDB and ClickHouse understand alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faregate.analytics.columnar.columns import COLUMNS
from faregate.analytics.columnar.dialect import ColumnDialect
from faregate.analytics.columnar.values import micros
from faregate.analytics.facts.conditions_sql import DIMENSIONS, MEASURES, UNPRICED
from faregate.analytics.question.filters import Question

__all__ = [
    "FactCondition",
    "active_counts_sql",
    "active_sql",
    "condition_of",
    "latencies_sql",
    "measures_sql",
    "points_sql",
    "series_sql",
    "tail_sql",
    "users_sql",
]

_EQUAL = {"service": "service", "feature": "feature_key", "device": "device", "meter": "meter", "country": "country"}
_SPELLED = ("model", "provider")
_WORDS = {"success": "e.status < 400", "error": "e.status >= 400"}
_TAIL_TYPES = ", ".join(f'"{column.name}": "{column.type}"' for column in COLUMNS)


@dataclass(frozen=True, slots=True)
class FactCondition:
    """The facts of a question: conditions over `e` about the time and by its filters, and the parameters of these."""

    time: str
    filters: str
    parameters: Mapping[str, Any]

    @property
    def sql(self) -> str:
        """Both conditions."""
        return f"{self.time} and {self.filters}" if self.filters else self.time


def condition_of(question: Question, people: Mapping[str, int], dialect: ColumnDialect) -> FactCondition:
    """Return the condition of a question; `people` are the subject numbers of the user and the organisation, by filter."""
    filters, span = question.filters, question.range
    given = filters.given
    time = f"e.time_us >= {micros(span.start)} and e.time_us < {micros(span.end)}"
    parts: list[str] = []
    values: dict[str, Any] = {}
    for name in _EQUAL.keys() & given.keys():
        values[name] = given[name].upper() if name == "country" else given[name]
        parts.append(f"e.{_EQUAL[name]} = {dialect.parameter(name)}")
    for name in filters.spelled.keys() & set(_SPELLED):
        names = {f"{name}_{number}": spelling for number, spelling in enumerate(filters.spelled[name])}
        values |= names
        parts.append(f"e.{name} in ({', '.join(map(dialect.parameter, names))})")
    parts += [f"e.{column} = {number}" for column, number in people.items()]
    if filters.status is not None:
        parts.append(_WORDS.get(filters.status) or f"e.status = {int(filters.status)}")
    return FactCondition(time, " and ".join(sorted(parts)), values)


def tail_sql() -> str:
    """Return the rows of `$tail`, the JSON of facts that are not in the files, for DuckDB."""
    return f"select unnest(from_json($tail, '[{{{_TAIL_TYPES}}}]'), recursive := true)"


def measures_sql(facts: str, by: Sequence[str], *, models: bool) -> str:
    """Return the sums by the dimensions `by`, which come first."""
    keys = "".join(f"{DIMENSIONS[name]}, " for name in by)
    return f"select {keys}{_sums(models=models)} from {facts} e {_where(by)} {_group_by(len(by))}"  # noqa: S608


def series_sql(facts: str, period: str, by: Sequence[str], *, models: bool) -> str:
    """Return the sums by the dimensions `by` and by period, which come first."""
    keys = "".join(f"{DIMENSIONS[name]}, " for name in by)
    only = [name for name in by if name == "model"]
    return f"select {keys}{period}, {_sums(models=models)} from {facts} e {_where(only)} {_group_by(len(by) + 1)}"  # noqa: S608


def points_sql(facts: str, period: str, *, models: bool) -> str:
    """Return sums by period, and the number of users with a valid fact in it."""
    inner = f"select {period} as period, {_sums(models=models)} from {facts} e group by period, e.subject_id"  # noqa: S608
    sums = ", ".join(f"sum({name})" for name in MEASURES)
    return f"select period, {sums}, count(*) filter (where facts > 0) from ({inner}) s group by 1"  # noqa: S608


def users_sql(facts: str, order: str, limit: int, *, models: bool) -> str:
    """Return the users with the most of `order`: their last valid fact and sums. Only the sums of the ranked are all made."""
    ranked = f"""
    select subject_id from (select e.subject_id, {_sums(models=models)} from {facts} e group by 1) s
    where facts <> 0 order by {order} desc, subject_id limit {limit}
    """  # noqa: S608
    return f"""
    select * from (
      select e.subject_id, max(e.time_us) filter (where e.sign > 0) as last_us, {_sums(models=models)}
      from {facts} e where e.subject_id in (select subject_id from ({ranked}) r) group by 1
    ) s order by {order} desc, subject_id
    """  # noqa: S608


def latencies_sql(facts: str, *, models: bool) -> str:
    """Return the number of requests by latency."""
    weight = _weight(models=models)
    return f"""
    select e.latency_ms, sum({weight}) from {facts} e where e.latency_ms is not null and {weight} <> 0 group by 1
    """  # noqa: S608


def active_counts_sql(facts: str, period: str) -> str:
    """Return the number of users with a valid fact, by period; no row without any."""
    inner = f"select {period} as period from {facts} e group by period, e.subject_id having sum(e.sign) > 0"  # noqa: S608
    return f"select period, count(*) from ({inner}) a group by 1"  # noqa: S608


def active_sql(facts: str, period: str) -> str:
    """Return the number of valid facts by period and subject."""
    return f"select {period}, e.subject_id, sum(e.sign) from {facts} e group by 1, 2"  # noqa: S608


def _sums(*, models: bool) -> str:
    weight = _weight(models=models)
    expressions = {
        "facts": "sum(e.sign)",
        "requests": f"sum({weight})",
        "errors": f"sum({weight}) filter (where e.status >= 400)",
        "latency_sum": f"sum(e.latency_ms::bigint * {weight})",
        "latency_count": f"sum({weight}) filter (where e.latency_ms is not null)",
        "unpriced": f"sum(e.sign) filter (where {UNPRICED})",
    }
    return ", ".join(f"coalesce({expressions.get(name, f'sum(e.{name})')}, 0) as {name}" for name in MEASURES)


def _weight(*, models: bool) -> str:
    return "e.calls" if models else "e.requests"


def _where(by: Sequence[str]) -> str:
    parts = [f"e.{name} is not null" for name in by if name in {"model", "meter"}]
    return f"where {' and '.join(parts)}" if parts else ""


def _group_by(count: int) -> str:
    return f"group by {', '.join(map(str, range(1, count + 1)))}" if count else ""
