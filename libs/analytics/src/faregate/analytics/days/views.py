"""Views that are exported by day. Pure."""

from collections.abc import Mapping, Sequence

from faregate.analytics.bi.values import BiColumn, BiView, ColumnType
from faregate.analytics.bi.views_sql import BI_VIEWS
from faregate.analytics.exports.columns import Column, Kind

__all__ = ["DAY_COLUMNS", "DAY_VIEWS", "columns_of"]

DAY_COLUMNS: Mapping[str, str] = {
    "uses": "started_at",
    "usage_lines": "settled_at",
    "usage_line_tokens": "settled_at",
    "transfers": "created_at",
    "transfer_grants": "created_at",
    "usage_events": "time",
}
"""The column whose day (UTC) a fact belongs to. Views of what is now, such as `wallets`, have no days."""

DAY_VIEWS: Sequence[BiView] = tuple(view for view in BI_VIEWS if view.name in DAY_COLUMNS)

_KINDS: Mapping[ColumnType, Kind] = {
    "bigint": Kind.INTEGER,
    "boolean": Kind.BOOLEAN,
    "integer": Kind.INTEGER,
    "numeric": Kind.EXACT,
    "text": Kind.TEXT,
    "timestamptz": Kind.MOMENT,
    "uuid": Kind.TEXT,
}


def columns_of(view: BiView) -> Sequence[Column]:
    """Return the columns of the file of a view, each with the SQL of its cells."""
    return [Column(column.name, _KINDS[column.type], _cell(column), guarded=False) for column in view.columns]


def _cell(column: BiColumn) -> str:
    if column.type == "boolean":
        return f"v.{column.name}::text"
    if column.type == "numeric":
        return f"round(v.{column.name}, 18)"
    return f"v.{column.name}::text" if column.type == "uuid" else f"v.{column.name}"
