"""SQL of the rows, columns and totals of exports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faregate.analytics.exports.columns import Column, Kind
from faregate.analytics.exports.guarding import guarded_sql
from faregate.analytics.exports.sheets import row_sql
from faregate.analytics.exports.sql import FROM_EVENTS
from faregate.analytics.facts.conditions_sql import UNPRICED, conditions, parameters
from faregate.analytics.question.filters import Question

__all__ = ["EVENTS", "EVENT_COLUMNS", "Selection", "events_selection"]

EVENTS = "events"
EVENT_COLUMNS = (
    Column("time", Kind.MOMENT, "e.time"),
    Column("kind", Kind.TEXT, "(array['request', 'line', 'meter'])[e.kind + 1]", guarded=False),
    Column("user_id", Kind.TEXT, "s.external_id"),
    Column("organization_id", Kind.TEXT, "substr(o.external_id, 5)"),
    Column("service", Kind.TEXT, "e.service"),
    Column("feature_key", Kind.TEXT, "e.feature_key"),
    Column("usage_key", Kind.TEXT, "e.usage_key"),
    Column("model", Kind.TEXT, "e.model"),
    Column("provider", Kind.TEXT, "e.provider"),
    Column("meter", Kind.TEXT, "e.meter"),
    Column("quantity", Kind.QUANTITY, "e.quantity"),
    Column("input_tokens", Kind.INTEGER, "e.input_tokens"),
    Column("output_tokens", Kind.INTEGER, "e.output_tokens"),
    Column("credits", Kind.CREDITS, "e.credits * 0.000001"),
    Column("credits_charged", Kind.CREDITS, "e.charged * 0.000001"),
    Column("cost_usd", Kind.USD, "e.cost * 0.000000000001"),
    Column("latency_ms", Kind.INTEGER, "e.latency_ms"),
    Column("status", Kind.INTEGER, "e.status"),
    Column("country", Kind.TEXT, "e.country", guarded=False),
    Column("device", Kind.TEXT, "e.device", guarded=False),
    Column("source", Kind.TEXT, "nullif(e.source, '')"),
    Column("id", Kind.TEXT, "e.external_id"),
    Column("tags", Kind.JSON, "e.tags", guarded=False),
    Column("metadata", Kind.JSON, "e.metadata", guarded=False),
)

_ISO_8601 = """to_char({moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
"""COPY alone would write a blank instead of the T of ISO 8601."""


_EVENT_SUMMARY = {
    "rows": "count(*)",
    "requests": "coalesce(sum(e.requests), 0)::bigint",
    "input_tokens": "coalesce(sum(e.input_tokens), 0)::bigint",
    "output_tokens": "coalesce(sum(e.output_tokens), 0)::bigint",
    "credits": "coalesce(sum(e.credits), 0) * 0.000001",
    "credits_charged": "coalesce(sum(e.charged), 0) * 0.000001",
    "cost_usd": "coalesce(sum(e.cost), 0) * 0.000000000001",
    "unpriced": f"count(*) filter (where {UNPRICED})",
}


_METER_SUMS = "count(*) as events, coalesce(sum(e.quantity), 0) as quantity"


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a query: `body` is the query from its `from` on, `totals` are the sums of the rows, `meter` names their meter."""

    what: str
    columns: Sequence[Column]
    body: str
    parameters: Mapping[str, Any]
    totals: Mapping[str, str]
    meter: str

    def rows_sql(self) -> str:
        """Return the statement that yields unformatted values."""
        return f"select {self._list(lambda column: column.sql)} {self.body}"

    def cells_sql(self, *, safe: bool) -> str:
        """Return the statement that yields CSV cells; with `safe` formulas are made harmless."""
        return f"select {self._list(lambda column: _cell(column, safe=safe))} {self.body}"

    def objects_sql(self) -> str:
        """Return the statement that yields each row as one JSON object."""
        return f"select row_to_json(r) from ({self.rows_sql()}) r"  # noqa: S608

    def sheet_rows_sql(self) -> str:
        """Return the statement that yields each row as the XML of a sheet."""
        return row_sql(self.columns, self.body)

    def summary_sql(self) -> str:
        """Return the statement that yields the totals in one row."""
        return f"select {', '.join(f'{sql} as {name}' for name, sql in self.totals.items())} {self.body}"

    def meters_sql(self) -> str:
        """Return the statement that yields, for each meter, its name, its events and the sum of its quantities."""
        return f"select {self.meter} as meter, {_METER_SUMS} {self.body} and {self.meter} is not null group by 1 order by 1"

    def _list(self, expression: Callable[[Column], str]) -> str:
        return ", ".join(f"{expression(column)} as {column.name}" for column in self.columns)


def events_selection(question: Question) -> Selection:
    """Return the valid events (no corrected versions) that match `question`, in order of arrival."""
    body = FROM_EVENTS.format(where=conditions(question.filters))
    return Selection(EVENTS, EVENT_COLUMNS, body, parameters(question), _EVENT_SUMMARY, "e.meter")


def _cell(column: Column, *, safe: bool) -> str:
    if column.kind is Kind.MOMENT:
        return _ISO_8601.format(moment=column.sql)
    return guarded_sql(column.sql) if safe and column.guarded and column.kind is Kind.TEXT else column.sql
