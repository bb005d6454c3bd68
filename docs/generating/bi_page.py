"""Reference page of the views for business intelligence tools."""

from faregate.analytics.bi.views_sql import BI_VIEWS

__all__ = ["bi_page"]

_HEAD = """\
# Views for BI tools

What `faregate bi create` makes ([Connect BI tools](../howto/connect-bi-tools.md)). Columns may be added; none is renamed, removed,
or given another type or meaning. The same words are comments in the database.
"""


def bi_page() -> str:
    """Return the page of all views and columns."""
    lines = [_HEAD]
    for view in BI_VIEWS:
        lines += [f"## `{view.name}`", "", view.comment, "", "| column | type | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{column.name}` | {column.type} | {column.comment} |" for column in view.columns]
        lines.append("")
    return "\n".join(lines)
